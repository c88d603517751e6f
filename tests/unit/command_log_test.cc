// SLOWLOG's and COMMANDLOG's entries, and the secrets that stay out of them.
#include "server/command_log.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "command/registry.h"
#include "server/command_watch.h"
#include "server/redaction.h"

namespace brim {
namespace {

using Words = std::vector<std::string_view>;

CommandLogEntry Entry(int64_t value) {
  CommandLogEntry entry;
  entry.value = value;
  entry.words = {"GET", "key"};
  return entry;
}

std::vector<int64_t> Ids(CommandLog& log) {
  std::vector<int64_t> ids;
  for (const CommandLogEntry& entry : log.Newest(SIZE_MAX)) ids.push_back(entry.id);
  return ids;
}

TEST(CommandLog, KeepsTheNewest) {
  CommandLog log;
  log.SetLimit(3);
  for (int i = 0; i < 5; i++) log.Add(Entry(i));
  EXPECT_EQ(Ids(log), (std::vector<int64_t>{4, 3, 2}));
  EXPECT_EQ(log.Newest(1).front().value, 4);
  EXPECT_EQ(log.size(), 3u);
  log.SetLimit(1);
  EXPECT_EQ(Ids(log), (std::vector<int64_t>{4}));
  log.Clear();
  EXPECT_EQ(log.size(), 0u);
  log.Add(Entry(0));
  EXPECT_EQ(Ids(log), (std::vector<int64_t>{5}));  // numbers go on
  log.SetLimit(0);
  log.Add(Entry(0));
  EXPECT_EQ(log.size(), 0u);
  log.SetLimit(10);
  log.Add(Entry(0));
  EXPECT_EQ(Ids(log), (std::vector<int64_t>{6}));
}

TEST(CommandLog, FromManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  CommandLog log;
  log.SetLimit(kThreads * kEach);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&log] {
      for (int i = 0; i < kEach; i++) log.Add(Entry(i));
    });
  }
  for (int i = 0; i < 100; i++) log.Newest(10);
  for (std::thread& thread : threads) thread.join();
  std::vector<int64_t> ids = Ids(log);
  ASSERT_EQ(ids.size(), static_cast<size_t>(kThreads * kEach));
  for (size_t i = 0; i < ids.size(); i++) EXPECT_EQ(ids[i], static_cast<int64_t>(ids.size() - 1 - i));
}

TEST(CommandLog, WordsAreCut) {
  std::string exact(128, 'x');
  std::string longer(129, 'x');
  Words words = {"SET", exact, longer};
  EXPECT_EQ(LoggedWords(words), (std::vector<std::string>{"SET", exact, exact + "... (1 more bytes)"}));
  Words many(32, "w");
  EXPECT_EQ(LoggedWords(many).size(), 32u);
  EXPECT_EQ(LoggedWords(many).back(), "w");
  many.emplace_back("w");
  EXPECT_EQ(LoggedWords(many).size(), 32u);
  EXPECT_EQ(LoggedWords(many).back(), "... (2 more arguments)");
}

TEST(CommandLog, RequestsAreMeasuredAsSent) {
  EXPECT_EQ(RequestBytes(Words{"PING"}), std::string("*1\r\n$4\r\nPING\r\n").size());
  std::string value(1000, 'v');
  EXPECT_EQ(RequestBytes(Words{"SET", "k", value}),
            std::string("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n").size() + 1002);
  Words many(12, "");
  EXPECT_EQ(RequestBytes(many), 5 + 12 * 6u);
}

Words Hidden(const char* name, const Words& words) {
  CommandSpec spec{};
  spec.name = name;
  Command command;
  command.spec = &spec;
  std::vector<size_t> places;
  FindSecrets(command, words, &places);
  Words shown = words;
  for (size_t place : places) shown[place] = kRedacted;
  return shown;
}

TEST(Redaction, HidesSecrets) {
  constexpr std::string_view kX = kRedacted;
  EXPECT_EQ(Hidden("auth", {"auth", "p"}), (Words{"auth", kX}));
  EXPECT_EQ(Hidden("auth", {"auth", "u", "p", "more"}), (Words{"auth", kX, kX, kX}));
  EXPECT_EQ(Hidden("hello", {"HELLO", "3", "auth", "u", "p"}), (Words{"HELLO", "3", "auth", kX, kX}));
  EXPECT_EQ(Hidden("hello", {"HELLO"}), (Words{"HELLO"}));
  EXPECT_EQ(Hidden("config|set", {"CONFIG", "SET", "hz", "10", "RequirePass", "p", "tls-key-file-pass", "q"}),
            (Words{"CONFIG", "SET", "hz", "10", "RequirePass", kX, "tls-key-file-pass", kX}));
  EXPECT_EQ(Hidden("config|set", {"CONFIG", "SET", "requirepass"}), (Words{"CONFIG", "SET", "requirepass"}));
  EXPECT_EQ(Hidden("acl|setuser", {"ACL", "SETUSER", "u", ">p"}), (Words{"ACL", "SETUSER", kX, kX}));
  EXPECT_EQ(Hidden("migrate", {"MIGRATE", "auth", "auth2", "k", "0", "1", "COPY", "AUTH2", "u", "AUTH", "AUTH", "p"}),
            (Words{"MIGRATE", "auth", "auth2", "k", "0", "1", "COPY", "AUTH2", kX, kX, "AUTH", kX}));
  EXPECT_EQ(Hidden("migrate", {"MIGRATE", "h", "1", "", "0", "1", "AUTH", "KEYS", "KEYS", "AUTH", "k"}),
            (Words{"MIGRATE", "h", "1", "", "0", "1", "AUTH", kX, "KEYS", "AUTH", "k"}));
  EXPECT_EQ(Hidden("get", {"GET", "AUTH"}), (Words{"GET", "AUTH"}));
}

}  // namespace
}  // namespace brim
