// Access rules: parsing, what a user then may do, and telling it again.
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "command/registry.h"
#include "commands/tables.h"
#include "server/acl_check.h"
#include "server/acl_file.h"
#include "server/acl_rules.h"
#include "server/server_commands.h"

namespace brim {
namespace {

void Prepare() {
  static bool done = false;
  if (std::exchange(done, true)) return;
  if (registry.all().empty()) {
    for (CommandTable table : {kStringCommands, kListCommands, kSortCommands, kConfigCommands, kConnectionCommands,
                               kTransactionCommands, kKeyCommands}) {
      registry.Add(table);
    }
    registry.Freeze();
  }
  command_catalog.Build();
}

class AclTest : public testing::Test {
 protected:
  AclTest() { Prepare(); }

  static RuleError Apply(User* user, std::initializer_list<const char*> rules) {
    for (const char* rule : rules) {
      RuleError error = ApplyRule(user, rule);
      if (error != RuleError::kNone) return error;
    }
    user->Settle();
    return RuleError::kNone;
  }
  static RuleError First(std::initializer_list<const char*> rules) {
    User user("x");
    return Apply(&user, rules);
  }
  static std::string Told(std::initializer_list<const char*> rules) {
    User user("x");
    EXPECT_EQ(Apply(&user, rules), RuleError::kNone);
    return DescribeUser(user);
  }
  // What the user is denied of a command line: "", "command", "key z", ...
  static std::string Denied(const User& user, const std::string& line) {
    std::vector<std::string_view> argv;
    for (size_t at = 0; at < line.size();) {
      size_t end = std::min(line.find(' ', at), line.size());
      argv.push_back(std::string_view(line).substr(at, end - at));
      at = end + 1;
    }
    const Command* container;
    const Command* command = registry.Resolve(argv, &container);
    EXPECT_NE(command, nullptr) << line;
    size_t index;
    AclVerdict verdict = CheckAcl(user, *command, argv, &index);
    if (verdict == AclVerdict::kAllowed) return "";
    std::string object(DeniedObject(verdict, *command, argv, index));
    return (verdict == AclVerdict::kCommand ? "command " : verdict == AclVerdict::kKey ? "key " : "channel ") + object;
  }
};

TEST(Sha256Test, KnownDigests) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256Hex(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(AclTest, WrongRulesAreRefusedAndChangeNothing) {
  struct {
    std::string rule;
    RuleError error;
  } const wrong[] = {
      {"foo", RuleError::kSyntax},
      {"+nosuch", RuleError::kUnknownCommand},
      {"-@nosuch", RuleError::kUnknownCommand},
      {"+config|nosuch", RuleError::kUnknownCommand},
      {"+config|", RuleError::kSyntax},
      {"+config|set|x", RuleError::kFirstArgumentOfSubcommand},
      {"+get|a|b", RuleError::kUnknownCommand},
      {"-get|a", RuleError::kUnknownCommand},
      {"+get|a b", RuleError::kSyntax},
      {"%", RuleError::kSyntax},
      {"%~x", RuleError::kSyntax},
      {"%RR~x", RuleError::kSyntax},
      {"%Rx", RuleError::kSyntax},
      {"~a b", RuleError::kSyntax},
      {std::string("~a\0b", 4), RuleError::kSyntax},
      {"&a\tb", RuleError::kSyntax},
      {"#abc", RuleError::kBadHash},
      {"!abc", RuleError::kBadHash},
      {"<nosuch", RuleError::kNoSuchPassword},
      {"(on)", RuleError::kSyntax},
      {"(+get ~* ~x)", RuleError::kAfterAllKeys},
      {"(", RuleError::kSyntax},
      {")", RuleError::kSyntax},
  };
  User user("x");
  ASSERT_EQ(Apply(&user, {"on", ">pw", "~a", "+get", "(+set ~b)"}), RuleError::kNone);
  std::string before = DescribeUser(user);
  for (const auto& each : wrong) {
    EXPECT_EQ(ApplyRule(&user, each.rule), each.error) << each.rule;
    EXPECT_EQ(DescribeUser(user), before) << each.rule;
  }
  EXPECT_EQ(First({"~*", "~x"}), RuleError::kAfterAllKeys);
  EXPECT_EQ(First({"&*", "&x"}), RuleError::kAfterAllChannels);
  EXPECT_EQ(First({"%RW~*", "~x"}), RuleError::kNone);
}

TEST_F(AclTest, IsToldAsRedisServerTellsIt) {
  EXPECT_EQ(Told({}), "off resetchannels -@all");
  EXPECT_EQ(Told({"reset"}), "off sanitize-payload resetchannels -@all");
  EXPECT_EQ(Told({"on", "nopass", "allkeys", "allchannels", "allcommands"}), "on nopass ~* &* +@all");
  EXPECT_EQ(Told({"%R~a", "%W~a", "%R~b", "~c", "%R~"}), "off ~a %R~b ~c %R~ resetchannels -@all");
  EXPECT_EQ(Told({"%R~*", "%W~*", "~x"}), "off %RW~* ~x resetchannels -@all");
  EXPECT_EQ(Told({"+@all", "-get"}), "off resetchannels +@all -get");
  EXPECT_EQ(Told({"+@all", "-get", "+get"}), "off resetchannels +@all");
  EXPECT_EQ(Told({"+@transaction"}), "off resetchannels -@all +@transaction");
  EXPECT_EQ(Told({"+multi", "+exec", "+discard", "+watch", "+unwatch"}), "off resetchannels -@all +@transaction");
  EXPECT_EQ(Told({"+@all", "-config|set"}), "off resetchannels +@all -config|set");
  EXPECT_EQ(Told({"+select|0", "+SELECT|1", "+select|0"}), "off resetchannels -@all +select|0 +select|1");
  EXPECT_EQ(Told({"+select|0", "+select"}), "off resetchannels -@all +select");
  EXPECT_EQ(Told({"(~a +get)", "(&c)"}),
            "off resetchannels -@all (~a resetchannels -@all +get) (resetchannels &c -@all)");
  EXPECT_EQ(Told({"(~a)", "clearselectors"}), "off resetchannels -@all");
  EXPECT_EQ(Told({">", "nopass", ">", "resetpass"}), "off resetchannels -@all");
}

// Also what would end a selector, or begin a quote, is found again in a file.
TEST_F(AclTest, WhatIsToldCanBeReadAgain) {
  User user("x");
  ASSERT_EQ(Apply(&user, {"on", "~a)", "~b\"'", "&(", "(~a) +get ~'q\"uote' &c))", "(+select|x))", "(~\\)", "+@all",
                          "-@fast", "+get", "(+@all -set)"}),
            RuleError::kNone);
  std::string told = DescribeUser(user);
  std::vector<std::string> words;
  for (size_t at = 0; at <= told.size();) {
    size_t end = std::min(told.find(' ', at), told.size());
    words.push_back(told.substr(at, end - at));
    at = end + 1;
  }
  std::vector<std::string> rules;
  std::string open;
  ASSERT_TRUE(JoinSelectors(words, &rules, &open));
  User again("x");
  for (const std::string& rule : rules) EXPECT_EQ(ApplyRule(&again, rule), RuleError::kNone) << rule;
  EXPECT_EQ(DescribeUser(again), told);
  EXPECT_EQ(again.selectors.size(), user.selectors.size());
}

TEST_F(AclTest, SelectorsAreJoined) {
  std::vector<std::string> rules;
  std::string open;
  EXPECT_TRUE(JoinSelectors({"on", "(~a", "+get)", "(~b)"}, &rules, &open));
  EXPECT_EQ(rules, (std::vector<std::string>{"on", "(~a +get)", "(~b)"}));
  rules.clear();
  EXPECT_FALSE(JoinSelectors({"(~a", "on"}, &rules, &open));
  EXPECT_EQ(open, "(~a");
}

TEST_F(AclTest, CommandsKeysAndSelectors) {
  User user("x");
  ASSERT_EQ(Apply(&user, {"~k*", "%R~r*", "%W~w*", "+get", "+set", "+mget", "+select|1", "+config|get", "(+del ~d)"}),
            RuleError::kNone);
  EXPECT_FALSE(user.unrestricted);
  EXPECT_EQ(Denied(user, "get k"), "");
  EXPECT_EQ(Denied(user, "get r"), "");
  EXPECT_EQ(Denied(user, "get w"), "key w");
  EXPECT_EQ(Denied(user, "set w 1"), "");
  EXPECT_EQ(Denied(user, "set w 1 get"), "key w");
  EXPECT_EQ(Denied(user, "set r 1"), "key r");
  EXPECT_EQ(Denied(user, "mget k r z w"), "key z");
  EXPECT_EQ(Denied(user, "select 1"), "");
  EXPECT_EQ(Denied(user, "select 0"), "command select");
  EXPECT_EQ(Denied(user, "config get x"), "");
  EXPECT_EQ(Denied(user, "config set x y"), "command config|set");
  EXPECT_EQ(Denied(user, "del d"), "");
  EXPECT_EQ(Denied(user, "del k"), "key k");
  EXPECT_EQ(Denied(user, "auth x"), "");  // whoever may not log in stays who he is
  EXPECT_EQ(Denied(user, "lpush k 1"), "command lpush");
}

TEST_F(AclTest, EveryKey) {
  const Command& sort = *registry.Find("sort");
  std::vector<std::string_view> argv{"sort", "k"};
  auto may = [&](std::initializer_list<const char*> rules) {
    User user("x");
    EXPECT_EQ(Apply(&user, rules), RuleError::kNone);
    return MayReadEveryKey(user, sort, argv);
  };
  EXPECT_TRUE(may({"+sort", "~*"}));
  EXPECT_TRUE(may({"+sort", "%R~*"}));
  EXPECT_FALSE(may({"+sort", "%W~*", "~k"}));
  EXPECT_FALSE(may({"+sort", "~k"}));
  EXPECT_FALSE(may({"~*", "(+sort ~k)"}));
  EXPECT_TRUE(may({"(+sort %R~*)"}));
}

TEST_F(AclTest, Channels) {
  User user("x");
  ASSERT_EQ(Apply(&user, {"&news", "&c*", "(&d)"}), RuleError::kNone);
  EXPECT_TRUE(MayUseChannel(user, "news", false));
  EXPECT_TRUE(MayUseChannel(user, "c1", false));
  EXPECT_TRUE(MayUseChannel(user, "d", false));
  EXPECT_FALSE(MayUseChannel(user, "e", false));
  EXPECT_TRUE(MayUseChannel(user, "c*", true));
  EXPECT_FALSE(MayUseChannel(user, "c1", true));  // a pattern has to be allowed as it stands
}

TEST_F(AclTest, Unrestricted) {
  User user("x");
  ASSERT_EQ(Apply(&user, {"+@all", "~*", "&*"}), RuleError::kNone);
  EXPECT_TRUE(user.unrestricted);
  ASSERT_EQ(Apply(&user, {"-get"}), RuleError::kNone);
  EXPECT_FALSE(user.unrestricted);
  ASSERT_EQ(Apply(&user, {"(+@all ~* &*)"}), RuleError::kNone);
  EXPECT_TRUE(user.unrestricted);
  ASSERT_EQ(Apply(&user, {"reset"}), RuleError::kNone);
  EXPECT_FALSE(user.unrestricted);
}

TEST_F(AclTest, LinesOfRedisConf) {
  std::vector<std::vector<std::string>> users;
  std::string reason;
  EXPECT_TRUE(AddUserLine({"ann", "on", "(~a", "+get)", "+not-known-yet"}, &users, &reason));
  ASSERT_EQ(users.size(), 1u);
  EXPECT_EQ(users[0], (std::vector<std::string>{"ann", "on", "(~a +get)", "+not-known-yet"}));
  EXPECT_FALSE(AddUserLine({"ann", "off"}, &users, &reason));
  EXPECT_FALSE(AddUserLine({"bob", "foo"}, &users, &reason));
  EXPECT_EQ(reason, "Error in user declaration 'foo': Syntax error");
  EXPECT_FALSE(AddUserLine({"bob", "(~a"}, &users, &reason));
  EXPECT_EQ(users.size(), 1u);
}

}  // namespace
}  // namespace brim
