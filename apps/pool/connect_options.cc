// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "apps/pool/commands.h"

namespace pathline::apps {

void add_connect_options(CLI::App& app, pool::ConnectOptions& options) {
  app.add_option("--pool", options.pool, "the pool's directory, on storage that all share")->envname("PATHLINE_POOL");
  app.add_option("--url", options.url, "http://HOST:PORT in place of what the file POOL/address says");
  app.add_option("--token-file", options.token_file, "in place of POOL/token");
}

}  // namespace pathline::apps
