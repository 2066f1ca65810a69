// The table of endpoints: which path is which call of api::Service.
#pragma once

#include <memory>

#include "server/metrics.h"
#include "server/model_source.h"
#include "server/router.h"

namespace lb::server {

// Both must outlive the router. Without `slots`, /slots says 501.
Router MakeRoutes(ModelSource& models, const Metrics& metrics, bool slots = true);

}  // namespace lb::server
