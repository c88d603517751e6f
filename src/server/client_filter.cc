#include "server/client_filter.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/numbers.h"
#include "commands/arguments.h"
#include "server/acl.h"
#include "server/client_line.h"
#include "server/connection.h"
#include "server/server.h"

namespace brim {

namespace {

using Field = ClientFilter::Field;

struct FieldName {
  const char* name;
  Field field;
  bool negatable;
};
constexpr FieldName kFields[] = {
    {"ID", Field::kId, true},
    {"TYPE", Field::kType, true},
    {"USER", Field::kUser, true},
    {"ADDR", Field::kAddress, true},
    {"LADDR", Field::kLocalAddress, true},
    {"IP", Field::kIp, true},
    {"NAME", Field::kName, true},
    {"LIB-NAME", Field::kLibraryName, true},
    {"LIB-VER", Field::kLibraryVersion, true},
    {"FLAGS", Field::kFlags, true},
    {"DB", Field::kDb, true},
    {"CAPA", Field::kCapabilities, true},
    {"MAXAGE", Field::kMaxAge, false},
    {"IDLE", Field::kIdle, false},
};

// Null: no filter's name.
const FieldName* FindField(std::string_view word, bool* negated) {
  *negated = word.size() > 4 && EqualsNoCase(word.substr(0, 4), "NOT-");
  if (*negated) word.remove_prefix(4);
  for (const FieldName& each : kFields) {
    if (EqualsNoCase(word, each.name) && (each.negatable || !*negated)) return &each;
  }
  return nullptr;
}

// As CLIENT LIST TYPE has it; empty: no such type.
std::string_view TypeNamed(std::string_view word) {
  if (EqualsNoCase(word, "slave")) return "replica";
  if (EqualsNoCase(word, "primary")) return "master";
  for (std::string_view name : {"normal", "replica", "pubsub", "master"}) {
    if (EqualsNoCase(word, name)) return name;
  }
  return {};
}

bool HasFlags(const Connection& connection, std::string_view wanted) {
  std::string flags = ClientFlags(connection);
  return std::all_of(wanted.begin(), wanted.end(), [&](char c) { return flags.find(c) != std::string::npos; });
}

std::string_view IpOf(const Connection& connection) {
  std::string_view address = connection.address;
  address = address.substr(0, address.rfind(':'));
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  return address;
}

bool ParseSeconds(Context& context, size_t at, const char* name, int64_t* seconds) {
  std::string text = name;
  if (!ParseIntArg(context, at, seconds, ("ERR " + text + " is not an integer or out of range").c_str())) return false;
  if (*seconds > 0) return true;
  context.reply().Error("ERR " + text + " should be greater than 0");
  return false;
}

}  // namespace

ClientFilter::Condition& ClientFilter::Set(Field field, bool negated) {
  for (Condition& each : conditions_) {
    if (each.field == field && each.negated == negated) return each;
  }
  conditions_.push_back({.field = field, .negated = negated, .text = {}, .ids = {}, .user = nullptr});
  return conditions_.back();
}

// One number or more; the first word that is none is looked at as the next filter.
bool ClientFilter::ParseIds(Context& context, bool negated, bool list, size_t* at) {
  std::string_view wrong = list ? "ERR Invalid client ID" : "ERR client-id should be greater than 0";
  Condition& condition = Set(Field::kId, negated);
  bool any = false;
  for (; *at < context.argc(); (*at)++, any = true) {
    int64_t id;
    bool other;
    if (!ParseInt64(context.arg(*at), &id)) {
      if (any && (FindField(context.arg(*at), &other) != nullptr || ArgIs(context, *at, "SKIPME") || !list)) break;
      context.reply().Error(wrong);
      return false;
    }
    if (!list && id < 1) {
      context.reply().Error(wrong);
      return false;
    }
    condition.ids.push_back(static_cast<uint64_t>(id));
  }
  return true;
}

bool ClientFilter::ParseValue(Context& context, size_t at, Condition& condition) {
  std::string_view value = context.arg(at);
  auto fail = [&](const std::string& text) {
    context.reply().Error(text);
    return false;
  };
  condition.text = value;
  switch (condition.field) {
    case Field::kType:
      condition.text = TypeNamed(value);
      return !condition.text.empty() || fail("ERR Unknown client type '" + std::string(value) + "'");
    case Field::kUser:
      condition.user = acl.Find(value);
      return condition.user != nullptr || fail("ERR No such user '" + std::string(value) + "'");
    case Field::kFlags:
      return value.find_first_not_of(kClientFlagLetters) == std::string_view::npos ||
             fail("ERR Unknown flags found in the provided filter: " + std::string(value));
    case Field::kCapabilities:
      return value.find_first_not_of('r') == std::string_view::npos ||
             fail("ERR Unknown capa found in the provided filter: " + std::string(value));
    case Field::kDb:
      if (!ParseIntArg(context, at, &condition.number)) return false;
      return (condition.number >= 0 && condition.number < server.config().databases) ||
             fail("ERR DB number should be between 0 and " + std::to_string(server.config().databases - 1));
    case Field::kMaxAge:
      return ParseSeconds(context, at, "maxage", &condition.number);
    case Field::kIdle:
      return ParseSeconds(context, at, "idle", &condition.number);
    default:
      return true;
  }
}

bool ClientFilter::Parse(Context& context, bool list) {
  for (size_t i = 2; i < context.argc();) {
    if (i + 1 >= context.argc()) {
      context.reply().Error(errors::kSyntax);
      return false;
    }
    std::string_view value = context.arg(i + 1);
    bool negated;
    const FieldName* named = FindField(context.arg(i), &negated);
    if (named == nullptr) {
      if (!ArgIs(context, i, "SKIPME") || (!EqualsNoCase(value, "yes") && !EqualsNoCase(value, "no"))) {
        context.reply().Error(errors::kSyntax);
        return false;
      }
      skip_me = EqualsNoCase(value, "yes");
      i += 2;
    } else if (named->field == Field::kId) {
      i++;
      if (!ParseIds(context, negated, list, &i)) return false;
    } else {
      if (!ParseValue(context, i + 1, Set(named->field, negated))) return false;
      i += 2;
    }
  }
  return true;
}

const std::vector<uint64_t>* ClientFilter::OnlyIds() const {
  bool only = conditions_.size() == 1 && conditions_[0].field == Field::kId && !conditions_[0].negated;
  return only ? &conditions_[0].ids : nullptr;
}

bool ClientFilter::Holds(const Condition& condition, const Connection& connection) {
  int64_t now_ms = coarse_clock.now_ms;
  switch (condition.field) {
    case Field::kId:
      return std::find(condition.ids.begin(), condition.ids.end(), connection.id) != condition.ids.end();
    case Field::kType:
      return condition.text == (connection.subscriptions != nullptr ? "pubsub" : "normal");
    case Field::kUser:
      return connection.user == condition.user;
    case Field::kAddress:
      return connection.address == condition.text;
    case Field::kLocalAddress:
      return connection.local_address == condition.text;
    case Field::kIp:
      return IpOf(connection) == condition.text;
    case Field::kName:
      return connection.name == condition.text;
    case Field::kLibraryName:
      return connection.library_name == condition.text;
    case Field::kLibraryVersion:
      return connection.library_version == condition.text;
    case Field::kFlags:
      return HasFlags(connection, condition.text);
    case Field::kDb:
      return connection.db == condition.number;
    case Field::kCapabilities:
      return condition.text.empty() || connection.takes_redirects;
    case Field::kMaxAge:
      return (now_ms - connection.created_ms) / 1000 >= condition.number;
    case Field::kIdle:
      return (now_ms - connection.last_active_ms) / 1000 >= condition.number;
  }
  return false;
}

bool ClientFilter::Matches(const Connection& connection) const {
  return std::all_of(conditions_.begin(), conditions_.end(),
                     [&](const Condition& each) { return Holds(each, connection) != each.negated; });
}

}  // namespace brim
