#include "persist/aof_manifest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace brim {
namespace {

std::string ErrorOf(std::string_view text) {
  AofManifest manifest;
  manifest.increments = {{"untouched", 7}};
  std::string error;
  EXPECT_FALSE(AofManifest::Parse(text, &manifest, &error)) << text;
  EXPECT_EQ(manifest.increments, std::vector<AofFile>({{"untouched", 7}}));
  return error;
}

AofManifest Parsed(std::string_view text) {
  AofManifest manifest;
  std::string error;
  EXPECT_TRUE(AofManifest::Parse(text, &manifest, &error)) << text << error;
  return manifest;
}

std::string AtLine(int number, const std::string& line, const std::string& what) {
  return "Reading the manifest file, at line " + std::to_string(number) + "\n>>> '" + line + "'\n" + what;
}

// The texts that redis-server 7.0.15 wrote when it was started, rewrote, and rewrote with aof-disable-auto-gc.
TEST(AofManifest, SequenceOfRewrites) {
  AofManifest manifest;
  manifest.NextBase("appendonly.aof", true);
  manifest.NextIncrement("appendonly.aof");
  EXPECT_EQ(manifest.Text(),
            "file appendonly.aof.1.base.rdb seq 1 type b\n"
            "file appendonly.aof.1.incr.aof seq 1 type i\n");
  auto rewrite = [&](bool rdb) {
    manifest.NextIncrement("appendonly.aof");
    manifest.NextBase("appendonly.aof", rdb);
    manifest.RetireIncrements(true);
  };
  rewrite(false);
  EXPECT_EQ(manifest.Text(),
            "file appendonly.aof.2.base.aof seq 2 type b\n"
            "file appendonly.aof.1.incr.aof seq 1 type h\n"
            "file appendonly.aof.1.base.rdb seq 1 type h\n"
            "file appendonly.aof.2.incr.aof seq 2 type i\n");
  rewrite(true);
  EXPECT_EQ(manifest.Text(),
            "file appendonly.aof.3.base.rdb seq 3 type b\n"
            "file appendonly.aof.2.incr.aof seq 2 type h\n"
            "file appendonly.aof.2.base.aof seq 2 type h\n"
            "file appendonly.aof.1.incr.aof seq 1 type h\n"
            "file appendonly.aof.1.base.rdb seq 1 type h\n"
            "file appendonly.aof.3.incr.aof seq 3 type i\n");
  manifest.history.clear();
  EXPECT_EQ(manifest.Text(),
            "file appendonly.aof.3.base.rdb seq 3 type b\n"
            "file appendonly.aof.3.incr.aof seq 3 type i\n");
}

TEST(AofManifest, SeveralIncrementsRetireInOrder) {
  AofManifest manifest = Parsed("file x.1.base.aof seq 1 type b\n");
  for (int i = 0; i < 3; i++) manifest.NextIncrement("x");
  manifest.RetireIncrements(true);
  EXPECT_EQ(manifest.history, std::vector<AofFile>({{"x.1.incr.aof", 1}, {"x.2.incr.aof", 2}}));
  EXPECT_EQ(manifest.increments, std::vector<AofFile>({{"x.3.incr.aof", 3}}));
  manifest.RetireIncrements(false);
  EXPECT_TRUE(manifest.increments.empty());
  EXPECT_EQ(manifest.NextIncrement("x").name, "x.4.incr.aof");
}

TEST(AofManifest, GoesOnFromWhatWasRead) {
  AofManifest manifest = Parsed("file x.7.base.rdb seq 7 type b\nfile x.9.incr.aof seq 9 type i\n");
  EXPECT_EQ(manifest.NextBase("y", true).name, "y.8.base.rdb");
  EXPECT_EQ(manifest.NextIncrement("y").name, "y.10.incr.aof");
  EXPECT_EQ(AofManifest::FileName("y"), "y.manifest");
  AofManifest empty = Parsed("# nothing\n");
  EXPECT_EQ(empty.NextIncrement("z").seq, 1);
}

TEST(AofManifest, Reads) {
  AofManifest manifest = Parsed(
      "# a comment\n"
      "file a seq 1 type b\n"
      "  SEQ 3x later 1 TYPE increment FILE \"b c\\xc3\" \t\r\n"
      "file h seq -5 type h\n"
      "file d seq 4 type i\n#");
  EXPECT_EQ(manifest.base, AofFile({"a", 1}));
  EXPECT_EQ(manifest.increments, std::vector<AofFile>({{"b c\xc3", 3}, {"d", 4}}));
  EXPECT_EQ(manifest.history, std::vector<AofFile>({{"h", -5}}));
}

TEST(AofManifest, QuotedNamesComeBack) {
  for (const char* prefix : {"a b", "it's", "\xc3\xa9", "say \"x\"", "tab\t", "plain-1_2.aof"}) {
    AofManifest manifest;
    manifest.NextBase(prefix, true);
    manifest.NextIncrement(prefix);
    AofManifest again = Parsed(manifest.Text());
    EXPECT_EQ(again.base, manifest.base);
    EXPECT_EQ(again.increments, manifest.increments);
  }
  AofManifest manifest;
  manifest.NextIncrement("\xc3\xa9 x");
  EXPECT_EQ(manifest.Text(), "file \"\\xc3\\xa9 x.1.incr.aof\" seq 1 type i\n");
}

TEST(AofManifest, Errors) {
  const std::string format = "Invalid AOF manifest file format";
  const std::string good = "file a seq 1 type b\n";
  EXPECT_EQ(ErrorOf(""), "Found an empty AOF manifest");
  EXPECT_EQ(ErrorOf(good + "\n"), AtLine(2, "", format));
  for (std::string line : {"file a seq 1", "file a seq 1 type b odd", "file a seq 0 type b", "file a seq x type b",
                           "file a seq 1 type \"\"", "file a seq 9223372036854775807 type i", "file \"a seq 1 type b",
                           "file \"a\"x seq 1 type b", "filea b c d e f", "name a seq 1 type b"}) {
    EXPECT_EQ(ErrorOf(line + "\n"), AtLine(1, line, format));
  }
  EXPECT_EQ(ErrorOf("file a/b seq 1 type b\n"),
            AtLine(1, "file a/b seq 1 type b", "File can't be a path, just a filename"));
  EXPECT_EQ(ErrorOf("file a seq 1 type x\n"), AtLine(1, "file a seq 1 type x", "Unknown AOF file type"));
  EXPECT_EQ(ErrorOf(good + good), AtLine(2, "file a seq 1 type b", "Found duplicate base file information"));
  std::string increment = "file a seq 2 type i";
  EXPECT_EQ(ErrorOf(increment + "\n#\n" + increment + "\n"),
            AtLine(3, increment, "Found a non-monotonic sequence number"));
}

TEST(AofManifest, LongLines) {
  const std::string too_long = "The AOF manifest file contains too long line";
  EXPECT_EQ(ErrorOf("file a seq 1 type b"), too_long);  // no \n at the end
  EXPECT_EQ(ErrorOf(std::string("file a seq 1 type b\0\n", 21)), too_long);
  std::string start = "file a seq 1 type b x ";
  std::string longest = start + std::string(1023 - start.size(), 'y');
  EXPECT_EQ(Parsed(longest + "\n").base, AofFile({"a", 1}));
  EXPECT_EQ(ErrorOf(longest + "y\n"), too_long);
}

}  // namespace
}  // namespace brim
