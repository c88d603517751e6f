#include "server/listeners.h"

#include <unistd.h>

#include <utility>

#include "net/socket.h"
#include "server/config.h"
#include "server/log.h"
#include "server/server.h"

namespace brim {

namespace {

constexpr int kAcceptsATurn = 32;  // the listener says again that there are more

}  // namespace

Listener::~Listener() { close(fd_); }

void Listener::OnEvents(uint32_t) {
  for (int i = 0; i < kAcceptsATurn; i++) {
    int fd = AcceptConnection(fd_, transport_ == Transport::kUnix, server.config().tcp_keepalive);
    if (fd < 0) return;
    server.Dispatch(fd, transport_);
  }
}

bool Listeners::OpenPort(const Config& config, int port, Transport transport, Group* group) {
  if (port == 0) return true;
  std::string error;
  for (std::string host : config.bind) {
    bool optional = host.starts_with("-");
    if (optional) host.erase(0, 1);
    int fd = ListenTcp(host, port, config.tcp_backlog, &error);
    if (fd >= 0) {
      group->push_back(std::make_unique<Listener>(fd, transport));
      continue;
    }
    LogWarning("Warning: Could not create server TCP listening socket " + host + ":" + std::to_string(port) + ": " +
               error);
    if (!optional) return false;
  }
  return true;
}

bool Listeners::OpenUnix(const Config& config) {
  if (config.unixsocket.empty()) return true;
  std::string error;
  int fd = ListenUnix(config.unixsocket, static_cast<unsigned>(config.unixsocketperm), config.tcp_backlog, &error);
  if (fd < 0) {
    LogWarning("Failed opening Unix socket: " + error);
    return false;
  }
  unix_path_ = config.unixsocket;
  unix_.push_back(std::make_unique<Listener>(fd, Transport::kUnix));
  return true;
}

void Listeners::Watch(const Group& group) {
  for (const auto& listener : group) loop_->Add(listener->fd(), EPOLLIN, listener.get());
}

void Listeners::Discard(Group* group) {
  for (const auto& listener : *group) loop_->Forget(listener.get());
  group->clear();
}

bool Listeners::Open(const Config& config, Loop* loop) {
  loop_ = loop;
  if (!OpenPort(config, config.port, Transport::kTcp, &tcp_)) {
    LogWarning("Failed listening on port " + std::to_string(config.port) + " (TCP), aborting.");
    return false;
  }
  if (!OpenPort(config, config.tls_port, Transport::kTls, &tls_)) {
    LogWarning("Failed listening on port " + std::to_string(config.tls_port) + " (TLS), aborting.");
    return false;
  }
  if (!OpenUnix(config)) return false;
  if (tcp_.empty() && tls_.empty() && unix_.empty()) {
    LogWarning("Configured to not listen anywhere, exiting.");
    return false;
  }
  Watch(tcp_);
  Watch(tls_);
  Watch(unix_);
  return true;
}

// The old sockets go first: the new addresses may be theirs.
bool Listeners::Rebind(const Config& before, const Config& now) {
  Discard(&tcp_);
  Discard(&tls_);
  bool good = OpenPort(now, now.port, Transport::kTcp, &tcp_) && OpenPort(now, now.tls_port, Transport::kTls, &tls_);
  if (!good) {
    tcp_.clear();
    tls_.clear();
    OpenPort(before, before.port, Transport::kTcp, &tcp_);
    OpenPort(before, before.tls_port, Transport::kTls, &tls_);
  }
  Watch(tcp_);
  Watch(tls_);
  return good;
}

bool Listeners::Renew(const Config& before, const Config& now, std::string* culprit) {
  bool crossed = now.port != 0 && now.tls_port != 0 && (now.port == before.tls_port || now.tls_port == before.port);
  if (now.bind != before.bind || crossed) {
    *culprit = now.bind != before.bind ? "bind" : now.port != before.port ? "port" : "tls-port";
    return Rebind(before, now);
  }
  Group tcp;
  Group tls;
  *culprit = "port";
  if (now.port != before.port && !OpenPort(now, now.port, Transport::kTcp, &tcp)) return false;
  *culprit = "tls-port";
  if (now.tls_port != before.tls_port && !OpenPort(now, now.tls_port, Transport::kTls, &tls)) return false;
  if (now.port != before.port) {
    Discard(&tcp_);
    tcp_ = std::move(tcp);
    Watch(tcp_);
  }
  if (now.tls_port != before.tls_port) {
    Discard(&tls_);
    tls_ = std::move(tls);
    Watch(tls_);
  }
  return true;
}

void Listeners::Close() {
  Discard(&tcp_);
  Discard(&tls_);
  Discard(&unix_);
  if (!unix_path_.empty()) {
    LogNotice("Removing the unix socket file.");
    unlink(unix_path_.c_str());
  }
}

}  // namespace brim
