#pragma once
// Sockets: listening, accepting, options, addresses as CLIENT LIST shows them.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

// Listens on host:port (host "*": all IPv4, "::*": all IPv6). The non-blocking descriptor, or -1 with *error set.
int ListenTcp(const std::string& host, int port, int backlog, std::string* error);
// Listens on a Unix socket; an old file of that name is removed; `permissions` 0 leaves the umask's.
int ListenUnix(const std::string& path, unsigned permissions, int backlog, std::string* error);
// One connection of the listener, non-blocking, close-on-exec, TCP_NODELAY and keepalive set; -1 when there is none.
// *is_unix is told by the caller.
int AcceptConnection(int listener, bool is_unix, int keepalive_seconds);

// "127.0.0.1:6379", "[::1]:6379" or "/path:0".
std::string PeerAddress(int fd, const std::string& unix_path);
std::string LocalAddress(int fd, const std::string& unix_path);

// Raises the soft limit of open files so that `wanted` fit. Returns the limit that holds afterwards.
uint64_t RaiseFileLimit(uint64_t wanted);

}  // namespace brim
