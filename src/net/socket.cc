#include "net/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace brim {

namespace {

int Fail(int fd, const char* what, std::string* error) {
  *error = std::string(what) + ": " + strerror(errno);
  if (fd >= 0) close(fd);
  return -1;
}

std::string AddressText(const sockaddr_storage& storage, const std::string& unix_path) {
  char host[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(in->sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(in->sin6_port));
  }
  return unix_path + ":0";
}

// The congestion control that connections get from the system.
std::string SystemCongestionControl() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char name[16] = "";  // TCP_CA_NAME_MAX
  socklen_t size = sizeof name;
  if (fd >= 0) {
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0) name[0] = '\0';
    close(fd);
  }
  return {name, strnlen(name, sizeof name)};
}

void SetCongestionControl(int fd, std::string_view name) {
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size()));
}

// BBR paces what is sent: a timer for each reply, also for clients on this host, between whom and us there is nothing
// to pace for (3 % of the CPU of a small request). Pacing begins with the connection and cannot be taken off it, so the
// listener has another control, which its connections inherit, and those from elsewhere get the system's back.
constexpr std::string_view kUnpaced = "reno";  // the one that every process may choose (tcp(7))

const std::string& PacedControl() {
  static const std::string name = [] {
    std::string found = SystemCongestionControl();
    return found.starts_with("bbr") ? found : std::string();
  }();
  return name;
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(&address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  if (address.ss_family != AF_INET6) return false;
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr);
}

}  // namespace

int ListenTcp(const std::string& host, int port, int backlog, std::string* error) {
  bool any4 = host == "*";
  bool any6 = host == "::*";
  addrinfo hints{};
  hints.ai_family = any4 ? AF_INET : any6 ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int rc = getaddrinfo(any4 || any6 ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (rc != 0) {
    *error = gai_strerror(rc);
    return -1;
  }
  int fd = -1;
  for (addrinfo* a = found; a != nullptr; a = a->ai_next) {
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      Fail(-1, "socket", error);
      continue;
    }
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    if (!PacedControl().empty()) SetCongestionControl(fd, kUnpaced);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, backlog) == 0) break;
    fd = Fail(fd, "bind", error);
  }
  freeaddrinfo(found);
  return fd;
}

int ListenUnix(const std::string& path, unsigned permissions, int backlog, std::string* error) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    *error = "unix socket path too long";
    return -1;
  }
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  unlink(path.c_str());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail(fd, "creating socket", error);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return Fail(fd, "bind", error);
  if (permissions != 0) chmod(path.c_str(), permissions);
  if (listen(fd, backlog) != 0) return Fail(fd, "listen", error);
  return fd;
}

int AcceptConnection(int listener, bool is_unix, int keepalive_seconds) {
  int fd;
  sockaddr_storage peer{};
  do {
    socklen_t size = sizeof peer;
    fd = accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0 || is_unix) return fd;
  if (!PacedControl().empty() && !IsLoopback(peer)) SetCongestionControl(fd, PacedControl());
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (keepalive_seconds > 0) {
    int interval = keepalive_seconds / 3 > 0 ? keepalive_seconds / 3 : 1;
    int probes = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_seconds, sizeof keepalive_seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  }
  return fd;
}

std::string PeerAddress(int fd, const std::string& unix_path) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "?:0";
  return AddressText(storage, unix_path);
}

std::string LocalAddress(int fd, const std::string& unix_path) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "?:0";
  return AddressText(storage, unix_path);
}

uint64_t RaiseFileLimit(uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  rlimit raised = limit;
  raised.rlim_cur = wanted;
  if (raised.rlim_max < wanted) raised.rlim_max = wanted;
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
  raised = limit;
  raised.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
  setrlimit(RLIMIT_NOFILE, &raised);
  getrlimit(RLIMIT_NOFILE, &raised);
  return raised.rlim_cur;
}

}  // namespace brim
