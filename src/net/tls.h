#pragma once
// TLS contexts: what the tls-* settings say, as OpenSSL wants it. docs/tls.md.
#include <cstdint>
#include <memory>
#include <string>

struct ssl_ctx_st;

namespace brim {

enum class TlsClientAuth : uint8_t { kNo, kYes, kOptional };

struct TlsSettings {
  std::string cert_file;
  std::string key_file;
  std::string key_file_pass;
  std::string client_cert_file;  // of connections that we make; without both cert_file serves for them too
  std::string client_key_file;
  std::string client_key_file_pass;
  std::string ca_cert_file;
  std::string ca_cert_dir;
  std::string dh_params_file;
  std::string protocols;  // "TLSv1.2 TLSv1.3"; empty: these two
  std::string ciphers;    // up to TLS 1.2
  std::string ciphersuites;
  bool needs_authority = true;  // somebody's certificate will be looked at
  bool prefer_server_ciphers = false;
  bool session_caching = true;
  int session_cache_size = 0;
  int session_cache_timeout_s = 0;
};

// Immutable once made; sessions keep what they need of it, so it may go while they live. Any thread.
class TlsContext {
 public:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ssl_ctx_st* get() const { return context_; }

  // For connections that come in / go out. Null with a text for the log in *error.
  static std::unique_ptr<TlsContext> ForServer(const TlsSettings& settings, std::string* error);
  static std::unique_ptr<TlsContext> ForClient(const TlsSettings& settings, std::string* error);

 private:
  ssl_ctx_st* context_;
};

// The first error that OpenSSL has noted in this thread, as text; forgets all of them.
std::string TakeTlsError();

}  // namespace brim
