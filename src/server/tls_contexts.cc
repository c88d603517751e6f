#include "server/tls_contexts.h"

#include <string>
#include <utility>

#include "server/config.h"
#include "server/log.h"

namespace brim {

namespace {

TlsSettings SettingsOf(const Config& config) {
  TlsSettings settings;
  settings.cert_file = config.tls_cert_file;
  settings.key_file = config.tls_key_file;
  settings.key_file_pass = config.tls_key_file_pass;
  settings.client_cert_file = config.tls_client_cert_file;
  settings.client_key_file = config.tls_client_key_file;
  settings.client_key_file_pass = config.tls_client_key_file_pass;
  settings.ca_cert_file = config.tls_ca_cert_file;
  settings.ca_cert_dir = config.tls_ca_cert_dir;
  settings.dh_params_file = config.tls_dh_params_file;
  settings.protocols = config.tls_protocols;
  settings.ciphers = config.tls_ciphers;
  settings.ciphersuites = config.tls_ciphersuites;
  settings.needs_authority = config.tls_auth_clients != "no" || config.tls_replication || config.tls_cluster;
  settings.prefer_server_ciphers = config.tls_prefer_server_ciphers;
  settings.session_caching = config.tls_session_caching;
  settings.session_cache_size = config.tls_session_cache_size;
  settings.session_cache_timeout_s = config.tls_session_cache_timeout;
  return settings;
}

}  // namespace

bool TlsContexts::Wanted(const Config& config) {
  return config.tls_port != 0 || config.tls_replication || config.tls_cluster;
}

TlsClientAuth TlsContexts::ClientAuth(const Config& config) {
  if (config.tls_auth_clients == "no") return TlsClientAuth::kNo;
  return config.tls_auth_clients == "optional" ? TlsClientAuth::kOptional : TlsClientAuth::kYes;
}

bool TlsContexts::Renew(const Config& config) {
  TlsSettings settings = SettingsOf(config);
  std::string error;
  auto fresh_accept = TlsContext::ForServer(settings, &error);
  auto fresh_connect = fresh_accept != nullptr ? TlsContext::ForClient(settings, &error) : nullptr;
  if (fresh_connect == nullptr) {
    LogWarning(error);
    return false;
  }
  accept = std::move(fresh_accept);
  connect = std::move(fresh_connect);
  return true;
}

}  // namespace brim
