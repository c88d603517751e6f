#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "base/ascii.h"
#include "net/tls_memory.h"

namespace brim {

namespace {

struct Protocol {
  const char* name;
  uint64_t off;  // the option that turns it off
  bool usual;
};
constexpr Protocol kProtocols[] = {
    {"TLSv1", SSL_OP_NO_TLSv1, false},
    {"TLSv1.1", SSL_OP_NO_TLSv1_1, false},
    {"TLSv1.2", SSL_OP_NO_TLSv1_2, true},
    {"TLSv1.3", SSL_OP_NO_TLSv1_3, true},
};
constexpr char kSessionContext[] = "brim";  // a session is only resumed where it was made

int GivePassword(char* into, int size, int, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  if (text.size() > static_cast<size_t>(size)) return 0;
  memcpy(into, text.data(), text.size());
  return static_cast<int>(text.size());
}

// The options that leave only the protocols of `text`.
bool ReadProtocols(const std::string& text, uint64_t* options) {
  bool on[std::size(kProtocols)];
  std::istringstream words(text);
  std::string word;
  bool any = false;
  for (size_t i = 0; i < std::size(kProtocols); i++) on[i] = kProtocols[i].usual;
  while (words >> word) {
    if (!any) std::fill(std::begin(on), std::end(on), false);
    any = true;
    const auto* found = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                     [&](const Protocol& each) { return EqualsNoCase(word, each.name); });
    if (found == std::end(kProtocols)) return false;
    on[found - kProtocols] = true;
  }
  for (size_t i = 0; i < std::size(kProtocols); i++) *options |= on[i] ? 0 : kProtocols[i].off;
  return true;
}

// Builds one context, step by step; each step answers false with *error set.
class Builder {
 public:
  Builder(const TlsSettings& settings, bool accepts, std::string* error)
      : settings_(settings), accepts_(accepts), error_(error) {}

  std::unique_ptr<TlsContext> Build() {
    CountTlsMemory();
    ERR_clear_error();
    context_ = SSL_CTX_new(accepts_ ? TLS_server_method() : TLS_client_method());
    if (context_ == nullptr) {
      Refuse("Could not make a TLS context: " + TakeTlsError());
      return nullptr;
    }
    auto owner = std::make_unique<TlsContext>(context_);
    if (!SetOptions() || !LoadCertificate() || !LoadAuthorities() || !SetCiphers() || !LoadDhParams()) return nullptr;
    if (accepts_) SetSessions();
    ERR_clear_error();
    return owner;
  }

 private:
  bool Refuse(std::string text) {
    *error_ = std::move(text);
    return false;
  }

  bool SetOptions() {
    uint64_t options = SSL_OP_NO_SSLv3 | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_SINGLE_DH_USE;
    if (!ReadProtocols(settings_.protocols, &options)) {
      return Refuse(
          "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.");
    }
    if (settings_.prefer_server_ciphers) options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
    SSL_CTX_set_options(context_, options);
    // A connection at rest holds no record buffers.
    SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return true;
  }

  bool LoadCertificate() {
    bool own = !accepts_ && !settings_.client_cert_file.empty() && !settings_.client_key_file.empty();
    const std::string& cert = own ? settings_.client_cert_file : settings_.cert_file;
    const std::string& key = own ? settings_.client_key_file : settings_.key_file;
    const std::string& pass = own ? settings_.client_key_file_pass : settings_.key_file_pass;
    if (cert.empty()) return Refuse("No tls-cert-file configured!");
    if (key.empty()) return Refuse("No tls-key-file configured!");
    SSL_CTX_set_default_passwd_cb(context_, GivePassword);
    SSL_CTX_set_default_passwd_cb_userdata(context_, const_cast<std::string*>(&pass));
    if (SSL_CTX_use_certificate_chain_file(context_, cert.c_str()) <= 0) {
      return Refuse("Failed to load certificate: " + cert + ": " + TakeTlsError());
    }
    bool loaded = SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) > 0;
    SSL_CTX_set_default_passwd_cb_userdata(context_, nullptr);
    if (!loaded) return Refuse("Failed to load private key: " + key + ": " + TakeTlsError());
    return true;
  }

  bool LoadAuthorities() {
    const std::string& file = settings_.ca_cert_file;
    const std::string& folder = settings_.ca_cert_dir;
    if (file.empty() && folder.empty()) {
      if (!settings_.needs_authority) return true;
      return Refuse(
          "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or "
          "tls-auth-clients are enabled!");
    }
    if (SSL_CTX_load_verify_locations(context_, file.empty() ? nullptr : file.c_str(),
                                      folder.empty() ? nullptr : folder.c_str()) <= 0) {
      return Refuse("Failed to configure CA certificate(s) file/directory: " + TakeTlsError());
    }
    return true;
  }

  bool SetCiphers() {
    if (!settings_.ciphers.empty() && SSL_CTX_set_cipher_list(context_, settings_.ciphers.c_str()) != 1) {
      return Refuse("Failed to configure ciphers: " + settings_.ciphers);
    }
    if (!settings_.ciphersuites.empty() && SSL_CTX_set_ciphersuites(context_, settings_.ciphersuites.c_str()) != 1) {
      return Refuse("Failed to configure ciphersuites: " + settings_.ciphersuites);
    }
    return true;
  }

  bool LoadDhParams() {
    const std::string& path = settings_.dh_params_file;
    if (path.empty() || !accepts_) return true;
    FILE* file = fopen(path.c_str(), "re");
    if (file == nullptr) return Refuse("Failed to load " + path + ": " + strerror(errno));
    BIO* bio = BIO_new_fp(file, BIO_CLOSE);
    EVP_PKEY* params = bio != nullptr ? PEM_read_bio_Parameters(bio, nullptr) : nullptr;
    BIO_free(bio);
    if (params == nullptr) return Refuse("Failed to read DH params file " + path + ": " + TakeTlsError());
    if (SSL_CTX_set0_tmp_dh_pkey(context_, params) == 1) return true;
    EVP_PKEY_free(params);
    return Refuse("Failed to use DH params file " + path + ": " + TakeTlsError());
  }

  void SetSessions() {
    SSL_CTX_set_session_id_context(context_, reinterpret_cast<const unsigned char*>(kSessionContext),
                                   sizeof kSessionContext - 1);
    if (!settings_.session_caching) {
      SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
      SSL_CTX_set_options(context_, SSL_OP_NO_TICKET);
      SSL_CTX_set_num_tickets(context_, 0);
      return;
    }
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(context_, settings_.session_cache_size);
    SSL_CTX_set_timeout(context_, settings_.session_cache_timeout_s);
  }

  const TlsSettings& settings_;
  const bool accepts_;
  std::string* error_;
  SSL_CTX* context_ = nullptr;
};

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::unique_ptr<TlsContext> TlsContext::ForServer(const TlsSettings& settings, std::string* error) {
  return Builder(settings, true, error).Build();
}

std::unique_ptr<TlsContext> TlsContext::ForClient(const TlsSettings& settings, std::string* error) {
  return Builder(settings, false, error).Build();
}

std::string TakeTlsError() {
  char text[256];
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

}  // namespace brim
