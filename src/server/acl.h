#pragma once
// Who may do what: the users. docs/acl.md.
//
// Users are changed only while every thread is paused (ACL SETUSER, DELUSER and LOAD, CONFIG SET requirepass), so a
// command that runs reads them without a lock. A connection shares its user, which stays the same object when it is
// changed; one that is deleted allows nothing any more and its connections are closed.
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/acl_rules.h"

namespace brim {

class Connection;
struct Config;

class Acl {
 public:
  using Users = std::map<std::string, std::shared_ptr<User>, std::less<>>;
  Acl();

  // At start, before there are threads: the users of redis.conf or of the aclfile, and requirepass as the default
  // user's password. False when they are refused; the log says why.
  bool Start(const Config& config);

  // --- any thread, in a command
  const Users& users() const { return users_; }
  const std::shared_ptr<User>& default_user() const { return default_user_; }
  // Null: there is none.
  std::shared_ptr<User> Find(std::string_view name) const;
  // New connections have to say who they are.
  bool asks_for_password() const { return !default_user_->no_password || !default_user_->enabled; }
  // Null: no such user, or disabled, or the password is wrong. O(passwords).
  std::shared_ptr<User> Authenticate(std::string_view name, std::string_view password) const;
  // "user name rules", a line each, in the order of the names.
  std::vector<std::string> Lines() const;

  // --- every thread paused
  // Puts the user in place of that of his name, or adds him. Connections that listen to what he may not any more are
  // closed.
  void Put(User&& user, const Connection* own);
  // False: there is none. `own`, the connection that asks, gets its reply before it is closed.
  bool Remove(std::string_view name, const Connection* own);
  // ACL LOAD: these in place of all; the connections of all but the default user are closed.
  void Replace(std::vector<User>&& users, const Connection* own);
  void SetDefaultPassword(const std::string& password);

 private:
  bool AddConfigured(const Config& config);
  void Retire(const std::shared_ptr<User>& user, const Connection* own);

  Users users_;
  std::shared_ptr<User> default_user_;
};

extern Acl acl;

// A default user before any rule: may do everything, without a password.
User MakeDefaultUser();

}  // namespace brim
