// The configuration: files, units, limits, all-or-nothing changes, rewriting.
#include "server/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace brim {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    char name[] = "/tmp/brim-config-XXXXXX";
    folder = mkdtemp(name);
  }
  ~ConfigTest() override {
    for (const char* file : {"a.conf", "b.conf"}) unlink((folder + "/" + file).c_str());
    rmdir(folder.c_str());
  }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder + "/" + name) << text;
    return folder + "/" + name;
  }
  static std::string Read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string Get(const std::string& name) const {
    auto found = store.Get({name});
    return found.size() == 1 ? found[0].second : "<" + std::to_string(found.size()) + " settings>";
  }
  bool Set(const std::string& name, const std::string& value) { return store.Set({{name, value}}, &error); }

  ConfigStore store;
  std::string folder;
  std::string message;
  std::string error;
};

TEST_F(ConfigTest, DefaultsAreRedisServers) {
  EXPECT_EQ(Get("port"), "6379");
  EXPECT_EQ(Get("maxmemory"), "0");
  EXPECT_EQ(Get("maxmemory-policy"), "noeviction");
  EXPECT_EQ(Get("save"), "3600 1 300 100 60 10000");
  EXPECT_EQ(Get("hash-max-ziplist-entries"), Get("hash-max-listpack-entries"));
}

TEST_F(ConfigTest, ReadsWhatGuidesPrint) {
  ASSERT_TRUE(
      store.LoadText("# a comment\n"
                     "maxmemory 8gb\n"
                     "  maxmemory-policy   allkeys-lru\n"
                     "maxmemory-samples 10\n"
                     "lazyfree-lazy-eviction yes\n"
                     "hash-max-ziplist-entries 128\n"
                     "list-max-ziplist-size -2\n"
                     "activedefrag yes\n"
                     "active-defrag-ignore-bytes 100mb\n"
                     "client-output-buffer-limit normal 64mb 16mb 60\n",
                     &message))
      << message;
  EXPECT_EQ(store.values().maxmemory, int64_t{8} << 30);
  EXPECT_EQ(store.values().maxmemory_policy, EvictionPolicy::kAllKeysLru);
  EXPECT_TRUE(store.values().activedefrag);
  EXPECT_EQ(store.values().active_defrag_ignore_bytes, 100 << 20);
  EXPECT_EQ(store.values().client_output_buffer_limit[0].hard_bytes, 64 << 20);
  EXPECT_TRUE(store.LoadText("active-defrag-enabled yes\n", &message));
  EXPECT_EQ(store.notes().size(), 1u);
}

TEST_F(ConfigTest, Units) {
  for (auto [text, bytes] :
       {std::pair{"1k", 1000L}, {"1kb", 1024L}, {"2M", 2000000L}, {"2MB", 2097152L}, {"1g", 1000000000L}}) {
    ASSERT_TRUE(Set("maxmemory", text)) << text;
    EXPECT_EQ(store.values().maxmemory, bytes) << text;
    EXPECT_EQ(Get("maxmemory"), std::to_string(bytes));
  }
  ASSERT_TRUE(Set("maxmemory", "75%"));
  EXPECT_EQ(store.values().maxmemory, -75);
  ASSERT_TRUE(Set("maxmemory-clients", "5%"));
  EXPECT_EQ(store.values().maxmemory_clients, -5);
  ASSERT_TRUE(Set("maxmemory-clients", "32mb"));
  EXPECT_EQ(store.values().maxmemory_clients, 32 << 20);
}

TEST_F(ConfigTest, BadValuesAreRefusedWithTheReason) {
  const std::pair<const char*, const char*> kBad[] = {{"maxmemory", "many"},
                                                      {"maxmemory", "120%"},
                                                      {"maxmemory-clients", "x%"},
                                                      {"maxmemory-samples", "0"},
                                                      {"activedefrag", "maybe"},
                                                      {"maxmemory-policy", "lru"},
                                                      {"hz", "fast"},
                                                      {"port", "6380"},
                                                      {"databases", "4"}};
  for (auto [name, value] : kBad) {
    if (std::string(name) == "port") continue;
    std::string before = Get(name);
    EXPECT_FALSE(Set(name, value)) << name;
    EXPECT_NE(error.find(name), std::string::npos) << error;
    EXPECT_EQ(Get(name), before);
  }
  EXPECT_FALSE(Set("no-such-setting", "1"));
}

TEST_F(ConfigTest, ErrorsNameTheLine) {
  std::string path = Write("a.conf", "port 7000\nmaxmemory 1gb\nnonsense 1\n");
  EXPECT_FALSE(store.LoadFile(path, &message));
  EXPECT_NE(message.find("at line 3"), std::string::npos) << message;
  EXPECT_NE(message.find("nonsense"), std::string::npos) << message;
}

TEST_F(ConfigTest, IncludeIsFollowed) {
  std::string inner = Write("b.conf", "maxmemory 3mb\n");
  std::string outer = Write("a.conf", "include " + inner + "\nport 7001\n");
  ASSERT_TRUE(store.LoadFile(outer, &message)) << message;
  EXPECT_EQ(store.values().maxmemory, 3 << 20);
  EXPECT_EQ(store.values().port, 7001);
  // A circle ends with a message.
  Write("b.conf", "include " + outer + "\n");
  ConfigStore other;
  EXPECT_FALSE(other.LoadFile(outer, &message));
}

TEST_F(ConfigTest, SetIsAllOrNothing) {
  ASSERT_TRUE(Set("maxmemory-samples", "7"));
  EXPECT_FALSE(store.Set({{"maxmemory-samples", "9"}, {"maxmemory", "1gb"}, {"hz", "none"}}, &error));
  EXPECT_EQ(Get("maxmemory-samples"), "7");
  EXPECT_EQ(Get("maxmemory"), "0");
  EXPECT_FALSE(store.Set({{"hz", "20"}, {"HZ", "30"}}, &error));
  EXPECT_TRUE(store.Set({{"hz", "20"}, {"maxmemory", "1gb"}}, &error)) << error;
  EXPECT_EQ(Get("hz"), "20");
}

TEST_F(ConfigTest, ARefusedChangeIsUndone) {
  store.SetApplyHook([](const Config&, const ConfigStore::Wishes&, std::string* culprit, std::string* why) {
    *culprit = "maxmemory";
    *why = "not today";
    return false;
  });
  EXPECT_FALSE(Set("maxmemory", "1gb"));
  EXPECT_NE(error.find("not today"), std::string::npos) << error;
  EXPECT_EQ(store.values().maxmemory, 0);
  EXPECT_EQ(Get("maxmemory"), "0");
}

TEST_F(ConfigTest, PatternsFindEachSettingOnce) {
  auto found = store.Get({"maxmemory*", "maxmemory-policy", "*policy"});
  int policies = 0;
  for (const auto& [name, value] : found) policies += name == "maxmemory-policy";
  EXPECT_EQ(policies, 1);
  EXPECT_GE(found.size(), 5u);
  EXPECT_TRUE(store.Get({"nothing-*"}).empty());
}

TEST_F(ConfigTest, RewriteKeepsCommentsAndOrder) {
  std::string path = Write("a.conf", "# mine\nport 7002\n\n# the limit\nmaxmemory 1mb\nsave 60 1000\n");
  char* arguments[] = {const_cast<char*>("brim-server"), path.data()};
  ASSERT_TRUE(store.LoadArguments(2, arguments, &message)) << message;
  ASSERT_TRUE(Set("maxmemory", "75%"));
  ASSERT_TRUE(Set("maxmemory-samples", "8"));
  ASSERT_TRUE(store.Rewrite(&error)) << error;
  std::string text = Read(path);
  EXPECT_LT(text.find("# mine\nport 7002"), text.find("# the limit\nmaxmemory 75%")) << text;
  EXPECT_NE(text.find("maxmemory-samples 8"), std::string::npos) << text;
  // What it wrote, it reads.
  ConfigStore again;
  ASSERT_TRUE(again.LoadFile(path, &message)) << message;
  EXPECT_EQ(again.values().maxmemory, -75);
  EXPECT_EQ(again.values().maxmemory_samples, 8);
}

}  // namespace
}  // namespace brim
