#pragma once
// Which connections CLIENT LIST and CLIENT KILL mean.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

class Connection;
class Context;

struct ClientFilter {
  enum class ClientType : uint8_t { kAny, kNormal, kMaster, kReplica, kPubSub } type = ClientType::kAny;
  std::vector<uint64_t> ids;  // empty: any
  std::string address;        // empty: any
  std::string local_address;
  std::string user;

  // normal, master, replica (or slave), pubsub. False for another word.
  bool SetType(std::string_view name);
  bool Matches(const Connection& connection) const;
};

// The options of CLIENT KILL from arg(2) on. False with redis-server's error replied.
bool ParseKillFilter(Context& context, ClientFilter* filter, bool* skip_me);

}  // namespace brim
