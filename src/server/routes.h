// The table of endpoints: which path is which call of api::Service.
#pragma once

#include <memory>

#include "server/metrics.h"
#include "server/readiness.h"
#include "server/router.h"

namespace lb::server {

// Until `readiness` has a service, everything but /metrics says 503. Both must outlive the router.
// Without `slots`, /slots says 501.
Router MakeRoutes(const Readiness& readiness, const Metrics& metrics, bool slots = true);

}  // namespace lb::server
