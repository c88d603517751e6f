#include "resp/parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace brim {
namespace {

using Commands = std::vector<std::vector<std::string>>;

// Parses `input` in chunks of `step` bytes as a connection would: the rest is kept until more arrives.
ParseStatus ParseInChunks(const std::string& input, size_t step, Commands* found, std::string* error,
                          bool authenticated = true) {
  RequestParser parser;
  std::string buffer;
  ParseStatus status = ParseStatus::kOk;
  for (size_t at = 0; at < input.size(); at += step) {
    buffer += input.substr(at, step);
    while (!buffer.empty()) {
      std::vector<std::string_view> args;
      std::vector<ParsedCommand> commands;
      status = parser.Parse(buffer, 3, authenticated, &args, &commands);
      for (const ParsedCommand& command : commands) {
        auto first = args.begin() + command.first_arg;
        found->emplace_back(first, first + command.argc);
      }
      *error = parser.error();
      if (status == ParseStatus::kError) return status;
      buffer.erase(0, parser.consumed());
      if (status == ParseStatus::kNeedMore) break;
    }
  }
  return status;
}

Commands ParseAll(const std::string& input) {
  Commands first;
  std::string error;
  ParseInChunks(input, input.size(), &first, &error);
  for (size_t step : {1, 2, 3, 7}) {
    Commands again;
    ParseInChunks(input, step, &again, &error);
    EXPECT_EQ(again, first) << "in chunks of " << step;
  }
  return first;
}

std::string ErrorOf(const std::string& input, bool authenticated = true) {
  Commands found;
  std::string error;
  EXPECT_EQ(ParseInChunks(input, input.size(), &found, &error, authenticated), ParseStatus::kError);
  return error;
}

TEST(Parser, Arrays) {
  EXPECT_EQ(ParseAll("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n"), (Commands{{"GET", "a"}, {"PING"}}));
  EXPECT_EQ(ParseAll("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n"), (Commands{{"SET", "", "\r\n"}}));
  EXPECT_EQ(ParseAll("*0\r\n*-1\r\n*1\r\n$1\r\nx\r\n"), (Commands{{"x"}}));
  std::string big(70000, 'v');
  EXPECT_EQ(ParseAll("*2\r\n$1\r\ns\r\n$70000\r\n" + big + "\r\n"), (Commands{{"s", big}}));
}

TEST(Parser, ManyArgumentsInParts) {
  std::string input = "*1\r\n$1\r\nx\r\n*5000\r\n";
  std::vector<std::string> words;
  for (int i = 0; i < 5000; i++) {
    words.push_back("w" + std::to_string(i));
    input += "$" + std::to_string(words.back().size()) + "\r\n" + words.back() + "\r\n";
  }
  for (size_t step : {997, 5000, 20000}) {
    Commands found;
    std::string error;
    EXPECT_EQ(ParseInChunks(input, step, &found, &error), ParseStatus::kOk);
    EXPECT_EQ(found, (Commands{{"x"}, words})) << "in chunks of " << step;
  }
  // What is kept of them goes when they are whole, or given up.
  RequestParser parser;
  std::vector<std::string_view> args;
  std::vector<ParsedCommand> commands;
  EXPECT_EQ(parser.Parse(std::string_view(input).substr(0, input.size() - 1), 3, true, &args, &commands),
            ParseStatus::kNeedMore);
  EXPECT_GE(parser.kept_bytes(), 4999 * sizeof(std::string_view));
  parser.Reset();
  EXPECT_EQ(parser.kept_bytes(), 0U);
}

TEST(Parser, Inline) {
  EXPECT_EQ(ParseAll("PING\r\n\r\n  SET a  b \nGET a\n"), (Commands{{"PING"}, {"SET", "a", "b"}, {"GET", "a"}}));
  EXPECT_EQ(ParseAll("SET \"a b\\x41\\n\" 'it\\'s'\r\n"), (Commands{{"SET", "a bA\n", "it's"}}));
  EXPECT_EQ(ParseAll("SET \"\" ''\r\n"), (Commands{{"SET", "", ""}}));
}

TEST(Parser, Errors) {
  EXPECT_EQ(ErrorOf("SET \"a\r\n"), "Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf("SET \"a\"b\r\n"), "Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf("*x\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*2147483648\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*1\r\nGET\r\n"), "Protocol error: expected '$', got 'G'");
  EXPECT_EQ(ErrorOf("*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$536870913\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*" + std::string(70000, '1')), "Protocol error: too big mbulk count string");
  EXPECT_EQ(ErrorOf("*1\r\n$" + std::string(70000, '1')), "Protocol error: too big bulk count string");
  EXPECT_EQ(ErrorOf(std::string(70000, 'a')), "Protocol error: too big inline request");
  EXPECT_EQ(ErrorOf("PING" + std::string(70000, '\0') + "\r\n"), "Protocol error: too big inline request");
}

TEST(Parser, LimitsBeforeAuthentication) {
  EXPECT_EQ(ErrorOf("*11\r\n", false), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$16385\r\n", false), "Protocol error: unauthenticated bulk length");
  Commands found;
  std::string error;
  EXPECT_EQ(ParseInChunks("*1\r\n$4\r\nPING\r\n", 100, &found, &error, false), ParseStatus::kOk);
}

TEST(Parser, TellsHowMuchItWants) {
  RequestParser parser;
  std::vector<std::string_view> args;
  std::vector<ParsedCommand> commands;
  std::string begin = "*2\r\n$3\r\nSET\r\n$1000\r\nabc";
  EXPECT_EQ(parser.Parse(begin, 1, true, &args, &commands), ParseStatus::kNeedMore);
  EXPECT_EQ(parser.consumed(), 0u);
  EXPECT_EQ(parser.bytes_wanted(), begin.size() - 3 + 1002);
}

TEST(Parser, CanonicalBytesAreThoseOfTheRequest) {
  auto canonical = [](std::string_view input) {
    RequestParser parser;
    std::vector<std::string_view> args;
    std::vector<ParsedCommand> commands;
    EXPECT_EQ(parser.Parse(input, 9, true, &args, &commands), ParseStatus::kOk);
    EXPECT_EQ(commands.size(), 1u);
    return std::string(commands[0].canonical);
  };
  std::string request = "*3\r\n$3\r\nset\r\n$0\r\n\r\n$12\r\n0123456789\r\n\r\n";
  EXPECT_EQ(canonical(request), request);
  EXPECT_EQ(canonical("\r\n" + request), request);
  // What is read all the same: other bytes in the place of a line's end, an inline command, a long argument.
  EXPECT_EQ(canonical("*1\rx$4\r\nPING\r\n"), "");
  EXPECT_EQ(canonical("*1\r\n$4\rxPING\r\n"), "");
  EXPECT_EQ(canonical("*1\r\n$4\r\nPINGxx"), "");
  EXPECT_EQ(canonical("PING\r\n"), "");
  EXPECT_EQ(canonical("*1\r\n$1000\r\n" + std::string(1000, 'x') + "\r\n"), "");
}

}  // namespace
}  // namespace brim
