// SPDX-License-Identifier: Apache-2.0
#include "flow/transfer.h"

namespace pathline::flow {

at::Tensor sent_to(const at::Tensor& host, at::Device device) {
  if (host.device() == device) return host;
  // LibTorch uses pinned memory again only when the copy is done.
  return host.pin_memory().to(device, host.scalar_type(), /*non_blocking=*/true);
}

}  // namespace pathline::flow
