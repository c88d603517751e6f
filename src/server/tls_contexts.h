#pragma once
// The TLS contexts in use. A change of the settings replaces them; connections keep what they were made with. Changed
// while every thread is paused.
#include <memory>

#include "net/tls.h"

namespace brim {

struct Config;

struct TlsContexts {
  // Something in the configuration needs them.
  static bool Wanted(const Config& config);
  // tls-auth-clients counts when a connection comes; no context is made anew for it.
  static TlsClientAuth ClientAuth(const Config& config);
  // Makes new ones, both or none. False: the log says why, and the old ones stay.
  bool Renew(const Config& config);

  std::unique_ptr<TlsContext> accept;   // null: TLS was never turned on
  std::unique_ptr<TlsContext> connect;  // for the connections that we make
};

}  // namespace brim
