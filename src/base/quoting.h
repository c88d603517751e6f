#pragma once
// Lines of words as in redis.conf: blanks part them, "..." with escapes (\n \r \t \b \a \xHH), '...' with \' only.
#include <string>
#include <string_view>
#include <vector>

namespace brim {

// Ends a word outside quotes. Fewer than what parts words: redis-server keeps a vertical tab within one.
inline bool EndsWord(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

inline bool IsQuote(char c) { return c == '"' || c == '\''; }

// The word that begins at line[*at] into *word; *at goes behind it. False when a quote in it has no end, or something
// follows a closing quote.
bool ReadWord(std::string_view line, size_t* at, std::string* word);

// The line's words into *words. False when quotes are not balanced, or something follows a closing quote.
bool SplitWords(std::string_view line, std::vector<std::string>* words);

// The text in double quotes, such that SplitWords gives it back.
std::string QuoteWord(std::string_view text);
// The same in two steps: how many bytes it takes, and those bytes put at `to`; answers where they end.
size_t QuotedBytes(std::string_view text);
char* PutQuoted(char* to, std::string_view text);

}  // namespace brim
