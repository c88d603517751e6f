#pragma once
// Which connections CLIENT LIST and CLIENT KILL mean.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

class Connection;
class Context;
struct User;

class ClientFilter {
 public:
  enum class Field : uint8_t {
    kId,
    kType,
    kUser,
    kAddress,
    kLocalAddress,
    kIp,
    kName,
    kLibraryName,
    kLibraryVersion,
    kFlags,
    kDb,
    kCapabilities,
    kMaxAge,  // seconds at least since it connected
    kIdle,    // seconds at least since it sent something
  };

  // The filters from arg(2) on. False with redis-server's error replied. `list`: of CLIENT LIST, which has other words
  // for a wrong ID.
  bool Parse(Context& context, bool list);
  // CLIENT KILL address.
  void OnlyAddress(std::string_view address) { Set(Field::kAddress, false).text = address; }
  // Nothing but connections by number, as CLIENT LIST ID has named them, or null.
  const std::vector<uint64_t>* OnlyIds() const;

  bool Matches(const Connection& connection) const;

  // SKIPME: the connection that asks is not meant.
  bool skip_me = false;

 private:
  struct Condition {
    Field field;
    bool negated;
    std::string text;
    int64_t number = 0;
    std::vector<uint64_t> ids;
    std::shared_ptr<User> user;
  };
  // The condition on that field, made where there is none; what it said before is forgotten, but numbers of
  // connections add up.
  Condition& Set(Field field, bool negated);
  bool ParseIds(Context& context, bool negated, bool list, size_t* at);
  bool ParseValue(Context& context, size_t at, Condition& condition);
  static bool Holds(const Condition& condition, const Connection& connection);

  std::vector<Condition> conditions_;
};

}  // namespace brim
