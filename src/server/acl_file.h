#pragma once
// Users in files: lines `user name rule ...` of redis.conf and of the aclfile.
#include <string>
#include <vector>

#include "server/acl_rules.h"

namespace brim {

// A line of redis.conf without its first word: looked at for what cannot be right, its selectors made one rule each and
// added to *users. Commands that are not known are let pass until the users are made. False with the reason.
bool AddUserLine(const std::vector<std::string>& words, std::vector<std::vector<std::string>>* users,
                 std::string* reason);

// The users of an aclfile. False with all that is wrong with it, in one line with redis-server's texts.
bool ReadUsers(const std::string& path, std::vector<User>* users, std::string* errors);

// Writes the lines in place of the file: a reader, and a crash, find the old one or the new one whole. False with the
// reason.
bool WriteUsers(const std::string& path, const std::vector<std::string>& lines, std::string* reason);

}  // namespace brim
