#pragma once
// What the server listens on: `port` and `tls-port` at each address of `bind`, and the Unix socket. The first worker
// watches the sockets; connections are dealt to the workers in turn.
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "server/transport.h"

namespace brim {

struct Config;

class Listener final : public EventHandler {
 public:
  Listener(int fd, Transport transport) : fd_(fd), transport_(transport) {}
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void OnEvents(uint32_t events) override;
  int fd() const { return fd_; }
  Transport transport() const { return transport_; }

 private:
  int fd_;
  Transport transport_;
};

class Listeners {
 public:
  // At start. False: the log says why.
  bool Open(const Config& config, Loop* loop);
  // CONFIG SET port, tls-port or bind; the Unix socket stays. When an address is refused the log says so, what was
  // listened on before still is, and *culprit names the setting. Every thread paused.
  bool Renew(const Config& before, const Config& now, std::string* culprit);
  // Closes all and removes the Unix socket's file.
  void Close();

 private:
  using Group = std::vector<std::unique_ptr<Listener>>;
  // Listens on one port at all addresses. 0: no port, an empty group.
  static bool OpenPort(const Config& config, int port, Transport transport, Group* group);
  bool OpenUnix(const Config& config);
  void Watch(const Group& group);
  // Out of the loop and closed.
  void Discard(Group* group);
  bool Rebind(const Config& before, const Config& now);

  Loop* loop_ = nullptr;
  Group tcp_;
  Group tls_;
  Group unix_;
  std::string unix_path_;
};

}  // namespace brim
