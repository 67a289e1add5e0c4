// What a server's answer says, in whatever pieces it comes.
#include <gtest/gtest.h>

#include "lib/base/rng.hpp"
#include "trainer/asking/completion_stream.hpp"
#include "trainer/asking/server_url.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::string_view kEvents =
    ": a comment\r\n\r\n"
    "data: {\"choices\":[{\"index\":0,\"text\":\"Once\"}]}\n\n"
    "data:{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\" upon\\n\"}}]}\r\n\r\n"
    "event: x\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n"
    "data: [DONE]\n\n";

std::string plain(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
std::string until_the_end(std::string_view body) {
  return "HTTP/1.0 200 OK\nServer: x\n\n" + std::string(body);
}
std::string chunked(std::string_view body) {
  std::string out = "HTTP/1.1 200 OK\r\ntransfer-encoding:  Chunked \r\n\r\n";
  for (std::size_t at = 0, size = 1; at < body.size(); at += size, size = size % 37 + 5) {
    size = std::min(size, body.size() - at);
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += {kDigits[size / 16], kDigits[size % 16]};
    out += ";name=value\r\n" + std::string(body.substr(at, size)) + "\r\n";
  }
  return out + "0\r\nTrailer: x\r\n\r\n";
}

struct Read {
  std::uint32_t pieces = 0;
  bool done = false;
  std::optional<Error> error;
  bool operator==(const Read& other) const {
    return pieces == other.pieces && done == other.done &&
           error.has_value() == other.error.has_value();
  }
};
Read read(CompletionStream& stream, std::string_view answer, Rng& rng) {
  Read out;
  while (!answer.empty() && !out.error) {
    const std::string_view part = answer.substr(0, rng.between(1, 40));
    answer.remove_prefix(part.size());
    const auto heard = stream.take(part);
    if (!heard) {
      out.error = heard.error();
    } else {
      out.pieces += heard->pieces;
      out.done = heard->done;
    }
  }
  return out;
}

TEST(CompletionStream, CountsThePiecesOfAnyAnswerInAnySplit) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed, "completions");
    for (const std::string& answer : {plain(kEvents), until_the_end(kEvents), chunked(kEvents)}) {
      CompletionStream stream;
      EXPECT_EQ(read(stream, answer, rng), (Read{2, true, {}})) << answer;
      EXPECT_EQ(stream.prompt_tokens(), 7U);
      EXPECT_EQ(stream.made_tokens(), 2U);
      EXPECT_TRUE(stream.end());
    }
  }
}

TEST(CompletionStream, AnAnswerThatBreaksOffIsAnError) {
  Rng rng(1, "completions");
  const std::string_view events = kEvents.substr(0, kEvents.find("data: [DONE]"));
  for (const std::string& answer : {plain(events), chunked(events)}) {
    for (std::size_t cut = 0; cut < answer.size(); ++cut) {
      CompletionStream stream;
      const Read got = read(stream, std::string_view(answer).substr(0, cut), rng);
      ASSERT_FALSE(got.error) << cut;
      EXPECT_EQ(stream.end().error().kind(), Kind::kLink) << cut;
      EXPECT_EQ(stream.end().error().why(), "the connection ended before it") << cut;
    }
  }
}

TEST(CompletionStream, SaysWhatTheServerSays) {
  const auto error_of = [](std::string_view answer) {
    CompletionStream stream;
    const auto heard = stream.take(answer);
    return heard ? std::string() : heard.error().message();
  };
  EXPECT_NE(error_of("HTTP/1.1 404 Not Found\r\n\r\n{\"error\":\"no model x\"}").find("no model x"),
            std::string::npos);
  EXPECT_NE(error_of(plain("data: {\"error\":{\"message\":\"full\"}}\n")).find("full"),
            std::string::npos);
  EXPECT_NE(error_of(plain("{\"choices\":[{\"text\":\"all at once\"}]}\n")).find("not streamed"),
            std::string::npos);
}

TEST(CompletionStream, BoundsWhatAStrangerSends) {
  const auto error_of = [](std::string_view head, std::string_view more, std::size_t times) {
    CompletionStream stream;
    Result<CompletionStream::Heard> heard = stream.take(head);
    for (std::size_t i = 0; i < times && heard; ++i) heard = stream.take(more);
    EXPECT_FALSE(heard);
    return heard ? Error(Kind::kIo, "", "it was taken") : heard.error();
  };
  const auto kind_of = [&](std::string_view head, std::string_view more, std::size_t times) {
    return error_of(head, more, times).kind();
  };
  const std::string kilobyte(1024, 'x');
  EXPECT_EQ(error_of("HTTP/1.1 200 OK\r\n", kilobyte, 100).why(), "its head is too long");
  EXPECT_EQ(error_of("HTTP/1.1 200 OK\r\n\r\n", kilobyte, 2000).why(), "an event too long");
  const std::string begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(error_of(begun, "0", 1000).why(), "a line too long");
  EXPECT_EQ(kind_of(begun, "0", 1000), Kind::kLimit);
  EXPECT_EQ(kind_of(begun + "ffffffffffffffff0\r\n", "", 1), Kind::kMalformed);
  EXPECT_EQ(kind_of(begun + "1\r\nab\r\n", "", 1), Kind::kMalformed) << "the chunk is longer";
  EXPECT_EQ(kind_of("SSH-2.0-OpenSSH\r\n\r\n", "", 1), Kind::kMalformed);
  EXPECT_EQ(kind_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "", 1), Kind::kMalformed);
  EXPECT_EQ(kind_of("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "", 1), Kind::kMalformed);
}

TEST(ServerUrl, NamesTheCompletionsOfAServer) {
  const auto parsed = [](std::string_view text) { return ServerUrl::parse(text).value(); };
  EXPECT_EQ(parsed("http://gpu:8000/v1").path, "/v1/completions");
  EXPECT_EQ(parsed("http://gpu:8000/v1").port, "8000");
  EXPECT_EQ(parsed("http://gpu/").path, "/completions");
  EXPECT_EQ(parsed("http://gpu").port, "80");
  EXPECT_EQ(parsed("http://[fd00::1]:81/v1/chat/completions").host, "fd00::1");
  EXPECT_TRUE(parsed("http://[fd00::1]:81/v1/chat/completions").chat);
  EXPECT_EQ(parsed("http://10.0.0.1:1/v1/completions/").path, "/v1/completions");
  for (const char* wrong :
       {"gpu:8000", "http://", "http://:80", "http://gpu:", "http://gpu:x", "http://gpu:123456",
        "http://[::1/v1", "http://gpu/v1 HTTP/1.1\r\nX: y"})
    EXPECT_EQ(ServerUrl::parse(wrong).error().kind(), Kind::kUsage) << wrong;
  const auto why = [](std::string_view text) { return ServerUrl::parse(text).error().why(); };
  EXPECT_EQ(why("gpu:8000"), "it does not begin with http://");
  EXPECT_EQ(why("http://gpu/v1 x"), "a character that no URL has");
  EXPECT_EQ(why("http://[::1/v1"), "a [ without its ]");
  EXPECT_EQ(ServerUrl::parse("gpu").error().advice(), "as http://HOST:PORT/v1");
  const Error secure = ServerUrl::parse("https://api.openai.com/v1").error();
  EXPECT_EQ(secure.kind(), Kind::kUnsupported);
  EXPECT_EQ(secure.why(), "https is not spoken here");
  EXPECT_EQ(secure.advice(), "reach the server through a tunnel, as http://127.0.0.1:PORT/v1");
}

}  // namespace
}  // namespace longhaul::trainer
