#include "server/client_filter.h"

#include <algorithm>

#include "commands/arguments.h"
#include "server/connection.h"

namespace brim {

bool ClientFilter::SetType(std::string_view name) {
  if (EqualsNoCase(name, "normal")) {
    type = ClientType::kNormal;
  } else if (EqualsNoCase(name, "slave") || EqualsNoCase(name, "replica")) {
    type = ClientType::kReplica;
  } else if (EqualsNoCase(name, "pubsub")) {
    type = ClientType::kPubSub;
  } else if (EqualsNoCase(name, "master")) {
    type = ClientType::kMaster;
  } else {
    return false;
  }
  return true;
}

bool ClientFilter::Matches(const Connection& connection) const {
  if (type != ClientType::kAny && type != ClientType::kNormal) return false;  // every connection is a normal one so far
  if (!ids.empty() && std::find(ids.begin(), ids.end(), connection.id) == ids.end()) return false;
  if (!address.empty() && connection.address != address) return false;
  if (!local_address.empty() && connection.local_address != local_address) return false;
  return user.empty() || (connection.authenticated && connection.user == user);
}

bool ParseKillFilter(Context& context, ClientFilter* filter, bool* skip_me) {
  for (size_t i = 2; i < context.argc(); i += 2) {
    if (i + 1 >= context.argc()) {
      context.reply().Error(errors::kSyntax);
      return false;
    }
    std::string_view value = context.arg(i + 1);
    if (ArgIs(context, i, "ID")) {
      int64_t id;
      if (!ParseRangeArg(context, i + 1, 1, INT64_MAX, &id, "ERR client-id should be greater than 0")) return false;
      filter->ids = {static_cast<uint64_t>(id)};
    } else if (ArgIs(context, i, "TYPE")) {
      if (!filter->SetType(value)) {
        context.reply().Error("ERR Unknown client type '" + std::string(value) + "'");
        return false;
      }
    } else if (ArgIs(context, i, "ADDR")) {
      filter->address = value;
    } else if (ArgIs(context, i, "LADDR")) {
      filter->local_address = value;
    } else if (ArgIs(context, i, "USER")) {
      if (value != "default") {
        context.reply().Error("ERR No such user '" + std::string(value) + "'");
        return false;
      }
      filter->user = value;
    } else if (ArgIs(context, i, "SKIPME") && (EqualsNoCase(value, "yes") || EqualsNoCase(value, "no"))) {
      *skip_me = EqualsNoCase(value, "yes");
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

}  // namespace brim
