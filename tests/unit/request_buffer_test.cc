// Requests whose big words lie elsewhere: the same bytes as copied ones, whatever is added, cut off or taken back.
#include "resp/request_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "resp/request.h"

namespace brim {
namespace {

std::string Bytes(const RequestBuffer& buffer) {
  std::string all;
  buffer.ForEachPiece([&](std::string_view piece) {
    all += piece;
    return piece.size();
  });
  EXPECT_EQ(all.size(), buffer.size());
  return all;
}

TEST(Request, WordsOfEveryLength) {
  std::string all;
  std::string expected;
  for (size_t size = 0; size <= 1100; size++) {
    std::string word(size, static_cast<char>('a' + size % 26));
    std::vector<std::string_view> words(size % 120 + 1, word);
    AppendRequest(&all, words);
    expected += "*" + std::to_string(words.size()) + "\r\n";
    for (size_t i = 0; i < words.size(); i++) expected += "$" + std::to_string(size) + "\r\n" + word + "\r\n";
  }
  EXPECT_TRUE(all == expected);
}

TEST(RequestBuffer, BorrowsOnlyWhatLasts) {
  std::string big(RequestBuffer::kBorrowBytes, 'b');
  std::string other = big;
  std::array<std::string_view, 3> words = {"SET", "key", big};
  std::array<std::string_view, 2> copies = {other, "SET"};
  RequestBuffer buffer;
  buffer.Add(words);
  EXPECT_FALSE(buffer.borrows());
  buffer.Add(words, copies);  // equal bytes elsewhere
  EXPECT_FALSE(buffer.borrows());
  buffer.Add(words, words);
  EXPECT_TRUE(buffer.borrows());
  std::string one;
  AppendRequest(&one, words);
  EXPECT_EQ(Bytes(buffer), one + one + one);
}

TEST(RequestBuffer, SameBytesAsCopies) {
  std::mt19937 random(7);
  std::vector<std::string> values;
  for (size_t i = 0; i < 6; i++) values.emplace_back(i % 2 ? RequestBuffer::kBorrowBytes + i : i, char('a' + i));
  for (int round = 0; round < 200; round++) {
    RequestBuffer buffer;
    RequestBuffer other;
    std::string wanted;
    for (int step = 0; step < 8; step++) {
      std::array<std::string_view, 3> words = {"CMD", values[random() % 6], values[random() % 6]};
      RequestBuffer::Mark mark = buffer.End();
      std::string before = wanted;
      if (random() % 3 == 0) {
        other.Clear(0);
        other.Add(words, words);
        buffer.Add(other);
      } else {
        buffer.Add(words, words);
      }
      AppendRequest(&wanted, words);
      if (random() % 4 == 0) {
        buffer.RollBack(mark);
        wanted = before;
      }
    }
    ASSERT_EQ(Bytes(buffer), wanted);
    // What a full disk took of it.
    size_t room = random() % (wanted.size() + 1);
    std::string taken;
    size_t done = buffer.ForEachPiece([&](std::string_view piece) {
      size_t fits = std::min(piece.size(), room - taken.size());
      taken += piece.substr(0, fits);
      return fits;
    });
    ASSERT_EQ(done, room);
    ASSERT_EQ(taken, wanted.substr(0, room));
    buffer.OwnFrom(done);
    EXPECT_FALSE(buffer.borrows());
    ASSERT_EQ(Bytes(buffer), wanted.substr(room));
    buffer.Swap(other);
    ASSERT_EQ(Bytes(other), wanted.substr(room));
    other.Clear(0);
    EXPECT_TRUE(other.empty());
  }
}

}  // namespace
}  // namespace brim
