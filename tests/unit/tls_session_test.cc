// TlsSession against itself over a socket pair: rooms and pieces of every size, sockets that take little.
#include "net/tls_session.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "net/tls_memory.h"

namespace brim {
namespace {

// A key and a certificate that signs itself, in files of a folder that goes at the end.
class Certificate {
 public:
  Certificate() {
    CountTlsMemory();
    char name[] = "/tmp/brim-tls-XXXXXX";
    folder_ = mkdtemp(name);
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_sign(certificate, key, EVP_sha256());
    Write("cert", [&](FILE* file) { PEM_write_X509(file, certificate); });
    Write("key", [&](FILE* file) { PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr); });
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~Certificate() { std::filesystem::remove_all(folder_); }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;

  TlsSettings Settings() const {
    TlsSettings settings;
    settings.cert_file = settings.ca_cert_file = folder_ + "/cert";
    settings.key_file = folder_ + "/key";
    settings.session_cache_size = 10;
    settings.session_cache_timeout_s = 10;
    return settings;
  }

 private:
  template <class Fn>
  void Write(const char* name, Fn&& fn) {
    FILE* file = fopen((folder_ + "/" + name).c_str(), "we");
    fn(file);
    fclose(file);
  }
  std::string folder_;
};

// Two sessions of one thread that share its room, as a worker's do.
class Pair {
 public:
  explicit Pair(const TlsSettings& settings, int send_buffer = 0) {
    std::string error;
    accept_ = TlsContext::ForServer(settings, &error);
    connect_ = TlsContext::ForClient(settings, &error);
    EXPECT_EQ(error, "");
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int fd : fds) {
      if (send_buffer > 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    }
    EXPECT_TRUE(server.Accept(*accept_, TlsClientAuth::kYes));
    EXPECT_TRUE(client.Connect(*connect_));
  }
  ~Pair() {
    close(fds[0]);
    close(fds[1]);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void Agree() {
    for (int i = 0; i < 100 && !(server.open() && client.open()); i++) {
      if (!client.open()) {
        ASSERT_NE(client.Handshake(fds[1]), TlsSession::Step::kFailed) << client.error();
      }
      if (!server.open()) {
        ASSERT_NE(server.Handshake(fds[0]), TlsSession::Step::kFailed) << server.error();
      }
    }
    ASSERT_TRUE(server.open() && client.open());
  }

  TlsRecords records;
  TlsSession server{&records};
  TlsSession client{&records};
  int fds[2];

 private:
  std::unique_ptr<TlsContext> accept_;
  std::unique_ptr<TlsContext> connect_;
};

const Certificate& TheCertificate() {
  static const Certificate certificate;
  return certificate;
}

std::string RandomBytes(std::mt19937& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

// What is to be sent, cut into pieces as replies are; what is taken is taken from the front.
ssize_t WritePieces(std::mt19937& random, TlsSession& session, int fd, std::string_view rest) {
  constexpr size_t kSizes[] = {1, 5, 100, 4000, 8191, 8192, 16328, 16384, 20000, 70000};
  std::vector<iovec> pieces;
  while (!rest.empty() && pieces.size() < 1 + random() % 20) {
    size_t size = std::min<size_t>(rest.size(), kSizes[random() % std::size(kSizes)]);
    pieces.push_back({const_cast<char*>(rest.data()), size});
    rest.remove_prefix(size);
  }
  return session.Write(fd, pieces.data(), static_cast<int>(pieces.size()));
}

// Reads once into a room of some size; false when there was nothing.
bool ReadSome(std::mt19937& random, TlsSession& session, int fd, std::string* got) {
  constexpr size_t kRooms[] = {1, 10, 700, 16384, 65536};
  std::string room(kRooms[random() % std::size(kRooms)], '\0');
  bool more;
  ssize_t n = session.Read(fd, room.data(), room.size(), &more);
  if (n > 0) got->append(room, 0, static_cast<size_t>(n));
  EXPECT_TRUE(n > 0 || (n < 0 && errno == EAGAIN)) << n << " " << session.error();
  return n > 0 || more;
}

TEST(TlsSession, EverythingArrivesBothWays) {
  for (unsigned seed = 1; seed <= 12; seed++) {
    std::mt19937 random(seed);
    Pair pair(TheCertificate().Settings(), seed % 3 == 0 ? 0 : 1 + static_cast<int>(random() % 30000));
    pair.Agree();
    TlsSession* sessions[] = {&pair.server, &pair.client};
    std::string sent[2] = {RandomBytes(random, random() % 600000), RandomBytes(random, random() % 600000)};
    std::string got[2];
    size_t at[2] = {};
    for (int idle = 0; idle < 1000 && (got[0].size() < sent[1].size() || got[1].size() < sent[0].size()); idle++) {
      size_t side = random() % 2;
      TlsSession& session = *sessions[side];
      int fd = pair.fds[side];
      if (random() % 2 == 0) {
        if (!session.SendHeld(fd)) {
          ASSERT_TRUE(session.holds());
        }
        if (at[side] < sent[side].size()) {
          ssize_t n = WritePieces(random, session, fd, std::string_view(sent[side]).substr(at[side]));
          ASSERT_TRUE(n > 0 || (n < 0 && errno == EAGAIN && session.holds()));
          if (n > 0) at[side] += static_cast<size_t>(n);
          if (n > 0) idle = 0;
        }
      } else if (ReadSome(random, session, fd, &got[side])) {
        idle = 0;
      }
    }
    EXPECT_TRUE(got[0] == sent[1] && got[1] == sent[0]) << "seed " << seed;
  }
}

TEST(TlsSession, AtRestHoldsAtMostOneRecordBuffer) {
  Pair pair(TheCertificate().Settings());
  pair.Agree();
  std::string bytes(100000, 'x');
  iovec piece{bytes.data(), bytes.size()};
  ASSERT_EQ(pair.server.Write(pair.fds[0], &piece, 1), 32768);
  std::string got;
  std::mt19937 random(1);
  while (ReadSome(random, pair.client, pair.fds[1], &got)) {
  }
  EXPECT_EQ(got, bytes.substr(0, 32768));
  // OpenSSL may keep the buffer of one record when reads end just where records do.
  constexpr size_t kRecordBuffer = 20480;
  EXPECT_LE(pair.client.buffer_bytes(), kRecordBuffer);
  EXPECT_EQ(pair.server.buffer_bytes(), 0U);
  EXPECT_LT(pair.server.memory_bytes(), 40000U);
  EXPECT_GT(pair.server.memory_bytes(), 5000U);
}

TEST(TlsSession, WhatIsDroppedIsGivenBack) {
  int64_t before = UsedByCategory(MemoryCategory::kClientsIn) + UsedByCategory(MemoryCategory::kClientsOut);
  int64_t balance = TlsBalanceOfThread().record_bytes;
  {
    Pair pair(TheCertificate().Settings(), 1);
    pair.Agree();
    std::string bytes(100000, 'x');
    iovec piece{bytes.data(), bytes.size()};
    EXPECT_GT(pair.server.Write(pair.fds[0], &piece, 1), 0);
    EXPECT_TRUE(pair.server.holds());
    EXPECT_GT(pair.server.buffer_bytes(), 0U);
    EXPECT_EQ(pair.server.Write(pair.fds[0], &piece, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    char room[10];
    bool more = false;
    EXPECT_EQ(pair.client.Read(pair.fds[1], room, sizeof room, &more), -1);  // half a record
    EXPECT_GT(pair.client.buffer_bytes(), 0U);
    pair.client.Drop();
    EXPECT_EQ(pair.client.Read(pair.fds[1], room, sizeof room, &more), -1);
    EXPECT_EQ(pair.client.memory_bytes(), 0U);
  }
  EXPECT_EQ(UsedByCategory(MemoryCategory::kClientsIn) + UsedByCategory(MemoryCategory::kClientsOut), before);
  EXPECT_EQ(TlsBalanceOfThread().record_bytes, balance);
}

TEST(TlsSession, TheEndIsAnEnd) {
  Pair pair(TheCertificate().Settings());
  pair.Agree();
  iovec piece{const_cast<char*>("last"), 4};
  EXPECT_EQ(pair.client.Write(pair.fds[1], &piece, 1), 4);
  pair.client.End(pair.fds[1]);
  pair.client.End(pair.fds[1]);
  EXPECT_EQ(pair.client.Write(pair.fds[1], &piece, 1), -1);
  char room[100];
  bool more = false;
  EXPECT_EQ(pair.server.Read(pair.fds[0], room, sizeof room, &more), 4);
  EXPECT_TRUE(more);
  EXPECT_EQ(pair.server.Read(pair.fds[0], room, sizeof room, &more), 0);
  EXPECT_EQ(pair.server.Read(pair.fds[0], room, sizeof room, &more), 0);
}

TEST(TlsSession, DamageBreaksItAndNobodyElse) {
  Pair pair(TheCertificate().Settings());
  Pair other(TheCertificate().Settings());
  pair.Agree();
  other.Agree();
  const char garbage[] = "\x17\x03\x03\x00\x20 this is no record of anybody's at all";
  ASSERT_GT(send(pair.fds[1], garbage, sizeof garbage, 0), 0);
  char room[100];
  bool more = false;
  EXPECT_EQ(pair.server.Read(pair.fds[0], room, sizeof room, &more), -1);
  EXPECT_NE(pair.server.error(), "");
  EXPECT_EQ(pair.server.Read(pair.fds[0], room, sizeof room, &more), -1);
  iovec piece{const_cast<char*>("fine"), 4};
  EXPECT_EQ(pair.server.Write(pair.fds[0], &piece, 1), -1);
  EXPECT_EQ(other.client.Write(other.fds[1], &piece, 1), 4);
  EXPECT_EQ(other.server.Read(other.fds[0], room, sizeof room, &more), 4);
}

TEST(TlsContext, RefusesWithAReason) {
  TlsSettings settings = TheCertificate().Settings();
  auto reason = [](const TlsSettings& wanted) {
    std::string error;
    EXPECT_EQ(TlsContext::ForServer(wanted, &error), nullptr);
    return error;
  };
  TlsSettings changed = settings;
  changed.protocols = "TLSv1.2 TLSv9";
  EXPECT_TRUE(reason(changed).starts_with("Invalid tls-protocols"));
  changed = settings;
  changed.cert_file.clear();
  EXPECT_EQ(reason(changed), "No tls-cert-file configured!");
  changed = settings;
  changed.ca_cert_file.clear();
  EXPECT_TRUE(reason(changed).starts_with("Either tls-ca-cert-file"));
  changed = settings;
  changed.ciphersuites = "none";
  EXPECT_EQ(reason(changed), "Failed to configure ciphersuites: none");
  changed = settings;
  changed.dh_params_file = settings.cert_file;
  EXPECT_TRUE(reason(changed).starts_with("Failed to read DH params file"));
}

}  // namespace
}  // namespace brim
