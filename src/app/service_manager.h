// Tells the service manager that started this process how it is: systemd's Type=notify.
#pragma once

#include <string>

namespace lb::app {

// Sends `state` ("READY=1", "STATUS=loading 42 %") to the socket that $NOTIFY_SOCKET names. Nothing
// where there is none, and nothing when it fails: nobody waits for it but the manager, who has a
// limit of its own.
void NotifyServiceManager(const std::string& state);

}  // namespace lb::app
