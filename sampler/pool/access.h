// SPDX-License-Identifier: Apache-2.0
// Who may talk to a pool, and where it is: the files POOL/token and POOL/address.
#pragma once

#include <string>
#include <string_view>

namespace pathline::pool {

/// Takes as long for a wrong token as for the right one, wherever they differ.
bool same_secret(std::string_view a, std::string_view b);

/// The token in a file; one line. Throws ExitCode::kUsage where others than its owner may read it, where it is missing,
/// or shorter than 16 bytes.
std::string read_token(const std::string& path);
/// Makes the file, mode 0600, with a new random token unless it is there. Returns the token. Killed before the end it
/// leaves no such file, or a whole one.
std::string read_or_make_token(const std::string& path);

/// Where a dispatcher listens.
struct Address {
  std::string host;
  std::string port;
};
/// "http://HOST:PORT", "HOST:PORT" or "PORT" (this machine). Throws ExitCode::kUsage.
Address parse_address(const std::string& text);

}  // namespace pathline::pool
