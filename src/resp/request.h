#pragma once
// RESP requests as bytes: what the AOF and other servers are sent. Any thread; no locks.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace brim {

// Appends the words as one request.
void AppendRequest(std::string* out, std::span<const std::string_view> words);

// The same in steps, for requests whose words are not all at hand: the beginning, then each of the `words` words.
void BeginRequest(std::string* out, size_t words);
void AppendWord(std::string* out, std::string_view word);
// What goes before a word of that size; the word and "\r\n" are the caller's.
void AppendWordHead(std::string* out, size_t size);

}  // namespace brim
