#include "server/acl.h"

#include <utility>

#include "base/sha256.h"
#include "server/acl_check.h"
#include "server/acl_file.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

Acl acl;

namespace {

// Takes the same time wherever they differ.
bool SameHash(const std::string& a, const std::string& b) {
  unsigned difference = a.size() != b.size();
  for (size_t i = 0; i < a.size() && i < b.size(); i++) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

template <class Fn>
void ForConnectionsOf(const User* user, Fn&& fn) {
  for (auto& worker : server.workers()) {
    for (auto& [id, connection] : worker->connections()) {
      if (connection->user.get() == user && !connection->close_soon) fn(*connection);
    }
  }
}

// Whether it is subscribed to what `allowed` does not cover.
bool ListensOutside(const Connection& connection, const std::vector<std::string>& allowed) {
  for (ChannelKind kind : {ChannelKind::kChannel, ChannelKind::kPattern, ChannelKind::kShard}) {
    if (PubSub::CountOf(connection, kind) == 0) continue;
    for (const std::string& name : PubSub::NamesOf(connection, kind)) {
      if (!ChannelFits(allowed, name, kind == ChannelKind::kPattern)) return true;
    }
  }
  return false;
}

void CutListeners(const User& user, const User* object, const Connection* own) {
  std::vector<std::string> allowed;
  for (const Selector& selector : user.selectors) {
    if (selector.all_channels) return;
    allowed.insert(allowed.end(), selector.channels.begin(), selector.channels.end());
  }
  ForConnectionsOf(object, [&](Connection& connection) {
    if (ListensOutside(connection, allowed)) CutConnection(connection, own);
  });
}

}  // namespace

User MakeDefaultUser() {
  User user("default");
  for (const char* rule : {"+@all", "~*", "&*", "on", "nopass"}) ApplyRule(&user, rule);
  user.Settle();
  return user;
}

Acl::Acl() : default_user_(std::make_shared<User>(MakeDefaultUser())) {
  users_.emplace(default_user_->name, default_user_);
}

bool Acl::AddConfigured(const Config& config) {
  for (const std::vector<std::string>& words : config.users) {
    if (HasBlanks(words[0])) {
      LogWarning("Spaces not allowed in ACL usernames");
      return false;
    }
    User user(words[0]);
    if (words[0] == default_user_->name) ApplyRule(&user, "reset");
    for (size_t i = 1; i < words.size(); i++) {
      RuleError error = ApplyRule(&user, words[i]);
      if (error == RuleError::kNone) continue;
      LogWarning("Error loading ACL rule '" + words[i] + "' for the user named '" + words[0] +
                 "': " + RuleErrorText(error));
      return false;
    }
    if (!user.enabled) {
      LogNotice("The user '" + words[0] + "' is disabled: its line has no 'on'.");
    }
    Put(std::move(user), nullptr);
  }
  return true;
}

bool Acl::Start(const Config& config) {
  may_read_every_key = [](Context& context) {
    if (replaying) return true;
    ServerContext& own = AsServer(context);
    const User& user = *own.connection().user;
    return user.unrestricted || MayReadEveryKey(user, own.command(), own.argv());
  };
  if (!config.aclfile.empty() && !config.users.empty()) {
    LogWarning("There are users in redis.conf and an aclfile as well: use one of both.");
    return false;
  }
  SetDefaultPassword(config.requirepass);
  if (!AddConfigured(config)) {
    LogWarning("Critical error while loading ACLs. Exiting.");
    return false;
  }
  if (config.aclfile.empty()) return true;
  std::vector<User> users;
  std::string errors;
  if (!ReadUsers(config.aclfile, &users, &errors)) {
    LogWarning("Aborting Redis startup because of ACL errors: " + errors);
    return false;
  }
  Replace(std::move(users), nullptr);
  return true;
}

std::shared_ptr<User> Acl::Find(std::string_view name) const {
  auto it = users_.find(name);
  return it == users_.end() ? nullptr : it->second;
}

std::shared_ptr<User> Acl::Authenticate(std::string_view name, std::string_view password) const {
  std::shared_ptr<User> user = Find(name);
  if (user == nullptr || !user->enabled) return nullptr;
  if (user->no_password) return user;
  std::string hash = Sha256Hex(password);
  for (const std::string& each : user->passwords) {
    if (SameHash(each, hash)) return user;
  }
  return nullptr;
}

std::vector<std::string> Acl::Lines() const {
  std::vector<std::string> lines;
  for (const auto& [name, user] : users_) lines.push_back("user " + name + " " + DescribeUser(*user));
  return lines;
}

void Acl::Put(User&& user, const Connection* own) {
  user.Settle();
  auto it = users_.find(user.name);
  if (it == users_.end()) {
    std::string name = user.name;
    users_.emplace(std::move(name), std::make_shared<User>(std::move(user)));
    return;
  }
  CutListeners(user, it->second.get(), own);
  *it->second = std::move(user);
}

// What still holds it (a client that waits for a key) is denied everything.
void Acl::Retire(const std::shared_ptr<User>& user, const Connection* own) {
  ForConnectionsOf(user.get(), [&](Connection& connection) {
    connection.user = default_user_;
    connection.authenticated = false;
    CutConnection(connection, own);
  });
  user->enabled = user->unrestricted = false;
  user->selectors.assign(1, Selector());
  user->selectors[0].all_channels = false;
}

bool Acl::Remove(std::string_view name, const Connection* own) {
  auto it = users_.find(name);
  if (it == users_.end()) return false;
  std::shared_ptr<User> user = std::move(it->second);
  users_.erase(it);
  Retire(user, own);
  return true;
}

void Acl::Replace(std::vector<User>&& users, const Connection* own) {
  Users old = std::exchange(users_, {});
  User new_default = MakeDefaultUser();
  for (User& user : users) {
    user.Settle();
    std::string name = user.name;
    if (name == default_user_->name) {
      new_default = std::move(user);
    } else {
      users_.emplace(std::move(name), std::make_shared<User>(std::move(user)));
    }
  }
  CutListeners(new_default, default_user_.get(), own);
  *default_user_ = std::move(new_default);
  users_.emplace(default_user_->name, default_user_);
  for (const auto& [name, user] : old) {
    if (user != default_user_) Retire(user, own);
  }
}

void Acl::SetDefaultPassword(const std::string& password) {
  ApplyRule(default_user_.get(), password.empty() ? "nopass" : "resetpass");
  if (!password.empty()) ApplyRule(default_user_.get(), ">" + password);
}

}  // namespace brim
