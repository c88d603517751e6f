// Sockets: which congestion control a client's connection has.
#include "net/socket.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace brim {
namespace {

std::string ControlOf(int fd) {
  char name[16] = "";
  socklen_t size = sizeof name;
  EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
  return name;
}

std::string SystemControl() {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  std::string name = ControlOf(fd);
  close(fd);
  return name;
}

// Of the server's end of a connection to that address.
std::string ControlOfConnectionTo(const std::string& host) {
  std::string error;
  int listener = ListenTcp(host, 0, 5, &error);
  EXPECT_GE(listener, 0) << error;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  int client = socket(address.ss_family, SOCK_STREAM, 0);
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
  pollfd ready{listener, POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, 5000), 1);
  int accepted = AcceptConnection(listener, false, 0);
  EXPECT_GE(accepted, 0);
  std::string name = ControlOf(accepted);
  for (int fd : {listener, client, accepted}) close(fd);
  return name;
}

// An address of this host that is not the loopback's; empty: there is none.
std::string OtherAddress() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "";
  std::string found;
  for (ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    in_addr address = reinterpret_cast<sockaddr_in*>(each->ifa_addr)->sin_addr;
    char text[INET_ADDRSTRLEN];
    if (ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET) continue;
    found = inet_ntop(AF_INET, &address, text, sizeof text);
  }
  freeifaddrs(all);
  return found;
}

TEST(Socket, LocalConnectionsAreNotPaced) {
  std::string system = SystemControl();
  EXPECT_EQ(ControlOfConnectionTo("127.0.0.1"), system.starts_with("bbr") ? "reno" : system);
}

TEST(Socket, ConnectionsFromElsewhereHaveTheSystemsControl) {
  std::string host = OtherAddress();
  if (host.empty()) GTEST_SKIP() << "this host has the loopback only";
  EXPECT_EQ(ControlOfConnectionTo(host), SystemControl());
}

}  // namespace
}  // namespace brim
