// TlsStream: OpenSSL, non-blocking, directly on a socket's descriptor, with gathered records.
//
// Two ways to use it. A state machine calls Handshake, Read, Write and Flush, which never wait, and Wait when they say
// so. Beast's WebSocket uses it as an AsyncStream. One thread: that of the socket's io_context.
#pragma once

#include <array>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "transport/https/gathering_bio.h"
#include "transport/https/tls.h"

namespace fed_learn {

enum class IoState {
  kDone,
  kWaitRead,   // call again when the socket is readable
  kWaitWrite,  // call again when the socket is writable
  kEnd,        // the peer has closed
  kFailed,     // failure() says why
};

struct IoResult {
  IoState state = IoState::kDone;
  std::size_t bytes = 0;  // moved, whatever the state
};

class TlsStream {
 public:
  using executor_type = boost::asio::io_context::executor_type;
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, executor_type>;

  // `socket` is connected; it is made non-blocking. `pool` and `counters` outlive this. `peer` stands in messages.
  TlsStream(Socket socket, const TlsContext& context, GatherPool& pool, LinkCounters& counters, std::string peer);
  ~TlsStream();
  TlsStream(TlsStream&&) noexcept;
  TlsStream& operator=(TlsStream&&) = delete;

  // Client only, before Handshake: the name or IP address that the server's certificate has to carry.
  void ExpectServerName(const std::string& name);

  // Goes on with the handshake.
  IoState Handshake();

  // Reads as much as is there now and fits. kDone if that is anything; else why not. REQUIRES: `space` is not empty.
  IoResult Read(std::span<std::byte> space);

  // Takes as much of `bytes` as the gathered records and the socket have room for: kDone if that is all, else
  // kWaitWrite or kFailed; whether to go on with the rest is free. What was taken may not have been sent: Flush before
  // waiting for the peer.
  IoResult Write(std::span<const std::byte> bytes);

  // Sends what Write has taken: kDone, kWaitWrite or kFailed.
  IoState Flush();

  // Says goodbye as far as the socket takes it, without waiting, and sends nothing more.
  void Shutdown();

  // Closes the socket. Waits complete with an error.
  void Close();

  // Reads and drops what the peer still sends, at most `bytes_max`, under TLS: for a connection after Shutdown, whose
  // last answer a reset would eat. kDone when so much has come.
  IoResult Discard(std::size_t bytes_max);

  // Why a call answered kFailed; null if none has.
  const TlsFailure* failure() const { return failure_.get(); }

  // Bytes that the peer's machine has not acknowledged: falls while anything moves.
  int UnsentBytes();
  // Whether the peer has closed its side, without reading what it sent before.
  bool PeerHasClosed();

  const ssl_st* ssl() const { return ssl_.get(); }
  const std::string& peer() const { return peer_; }
  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }

  // Calls handler(error_code) when the socket is ready. REQUIRES: `state` is kWaitRead or kWaitWrite.
  template <typename Handler>
  void Wait(IoState state, Handler&& handler) {
    socket_.async_wait(state == IoState::kWaitRead ? Socket::wait_read : Socket::wait_write,
                       std::forward<Handler>(handler));
  }

  // Beast's AsyncStream.
  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token);
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token);

 private:
  struct SslFreer {
    void operator()(ssl_st* ssl) const;
  };
  template <bool kWriting, typename Buffers, typename Handler>
  class BeastOp;

  IoState Fail();
  IoState StateAfter(int ssl_result);

  std::string peer_;
  TlsSide side_;
  std::unique_ptr<TlsFailure> failure_;
  Socket socket_;
  std::unique_ptr<Gather> gather_;
  std::unique_ptr<ssl_st, SslFreer> ssl_;  // ends before what its BIO points at
};

// One async_read_some or async_write_some, and the handler of its waits.
template <bool kWriting, typename Buffers, typename Handler>
class TlsStream::BeastOp {
 public:
  using executor_type = boost::asio::associated_executor_t<Handler, TlsStream::executor_type>;
  using allocator_type = boost::asio::associated_allocator_t<Handler>;

  BeastOp(TlsStream& stream, const Buffers& buffers, Handler handler)
      : stream_(&stream), buffers_(buffers), handler_(std::move(handler)) {}

  executor_type get_executor() const noexcept {
    return boost::asio::get_associated_executor(handler_, stream_->socket_.get_executor());
  }
  allocator_type get_allocator() const noexcept { return boost::asio::get_associated_allocator(handler_); }

  void Start() { Step({}, true); }
  void operator()(boost::system::error_code error) { Step(error, false); }

 private:
  void Step(boost::system::error_code error, bool within_initiation) {
    if (!error) {
      const IoState state = Attempt();
      if (state == IoState::kWaitRead || state == IoState::kWaitWrite) {
        TlsStream& stream = *stream_;
        stream.Wait(state, std::move(*this));
        return;
      }
      if (state == IoState::kEnd) error = boost::asio::error::eof;
      if (state == IoState::kFailed) error = boost::asio::error::connection_reset;
    }
    if (!within_initiation) {
      handler_(error, bytes_);
      return;
    }
    boost::asio::post(stream_->get_executor(),
                      [handler = std::move(handler_), error, bytes = bytes_]() mutable { handler(error, bytes); });
  }

  IoState Attempt() {
    if constexpr (kWriting) {
      return Write();
    } else {
      return Read();
    }
  }

  IoState Read() {
    for (auto it = boost::asio::buffer_sequence_begin(buffers_); it != boost::asio::buffer_sequence_end(buffers_);
         ++it) {
      const boost::asio::mutable_buffer piece(*it);
      if (piece.size() == 0) continue;
      const IoResult result = stream_->Read({static_cast<std::byte*>(piece.data()), piece.size()});
      bytes_ = result.bytes;
      return result.state;
    }
    return IoState::kDone;
  }

  // The pieces of a message, its header among them, become one record.
  IoState Write() {
    if (bytes_ == 0) {
      if (!stream_->gather_->HasRoom()) {
        const IoState state = stream_->Flush();
        if (state != IoState::kDone) return state;
      }
      std::array<std::byte, 16384> record;
      const std::size_t size = boost::asio::buffer_copy(boost::asio::buffer(record), buffers_);
      const IoResult result = stream_->Write(std::span(record).first(size));
      if (result.state != IoState::kDone) return result.state;
      bytes_ = size;
    }
    return stream_->Flush();
  }

  TlsStream* stream_;
  Buffers buffers_;
  Handler handler_;
  std::size_t bytes_ = 0;
};

template <typename Buffers, typename Token>
auto TlsStream::async_read_some(const Buffers& buffers, Token&& token) {
  return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
      [this](auto handler, const Buffers& space) {
        BeastOp<false, Buffers, decltype(handler)>(*this, space, std::move(handler)).Start();
      },
      token, buffers);
}

template <typename Buffers, typename Token>
auto TlsStream::async_write_some(const Buffers& buffers, Token&& token) {
  return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
      [this](auto handler, const Buffers& bytes) {
        BeastOp<true, Buffers, decltype(handler)>(*this, bytes, std::move(handler)).Start();
      },
      token, buffers);
}

// What Beast looks up by argument-dependent name.
inline void beast_close_socket(TlsStream& stream) { stream.Close(); }

inline void teardown(boost::beast::role_type, TlsStream& stream, boost::system::error_code& error) {
  stream.Shutdown();
  error = {};
}

template <typename Handler>
void async_teardown(boost::beast::role_type, TlsStream& stream, Handler&& handler) {
  stream.Shutdown();
  boost::asio::post(stream.get_executor(),
                    [handler = std::forward<Handler>(handler)]() mutable { handler(boost::system::error_code()); });
}

}  // namespace fed_learn
