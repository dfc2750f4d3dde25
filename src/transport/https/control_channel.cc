#include "transport/https/control_channel.h"

#include <fmt/format.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <utility>

#include "transport/https/http_head.h"

namespace fed_learn {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

class Channel : public ControlChannel, public std::enable_shared_from_this<Channel> {
 public:
  Channel(TlsStream stream, ControlChannelOptions options, LinkCounters& counters, ControlChannelEvents events)
      : peer_(stream.peer()),
        options_(std::move(options)),
        counters_(&counters),
        events_(std::move(events)),
        pause_(stream.get_executor()),
        socket_(std::move(stream)) {
    // Beast pings when half of the time has gone by without a byte.
    socket_.set_option(websocket::stream_base::timeout{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(options_.deadlines.header),
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(options_.deadlines.control), true});
    socket_.read_message_max(options_.message_bytes_max);
    socket_.auto_fragment(false);
    socket_.text(true);
  }

  void Accept(const std::string& head) {
    http::request_parser<http::empty_body> parser;
    error_code error;
    parser.put(asio::buffer(head), error);
    socket_.async_accept(parser.get(), [self = shared_from_this()](error_code failed) { self->OnOpen(failed); });
  }

  void Connect(const std::string& host, const std::string& path) {
    socket_.async_handshake(decline_, host, path,
                            [self = shared_from_this()](error_code failed) { self->OnOpen(failed); });
  }

  void Send(std::string text) override {
    if (state_ == State::kClosed || finishing_) return;
    outbox_.push_back(std::move(text));
    if (state_ == State::kOpen && outbox_.size() == 1) Write();
  }

  void Finish() override {
    if (state_ == State::kClosed || finishing_) return;
    finishing_ = true;
    if (state_ == State::kOpen && outbox_.empty()) SayGoodbye();
  }

  void Leave() override {
    if (state_ == State::kOpening) return Abort();
    events_ = {};
    Finish();
  }

  void Abort() override {
    if (state_ == State::kClosed) return;
    state_ = State::kClosed;
    events_ = {};
    pause_.cancel();
    socket_.next_layer().Close();
  }

 private:
  enum class State { kOpening, kOpen, kClosed };

  void OnOpen(error_code failed) {
    if (state_ == State::kClosed) return;
    if (failed) return Close(OpeningError(failed));
    state_ = State::kOpen;
    decline_ = {};
    if (events_.on_open) events_.on_open();
    if (!outbox_.empty()) {
      Write();
    } else if (finishing_) {
      SayGoodbye();
    }
    PaceAndRead();
  }

  Error OpeningError(error_code failed) {
    if (failed == websocket::error::upgrade_declined) {
      return ErrorFromBody(decline_.result_int(), decline_.body(), peer_);
    }
    return EndingError(failed);
  }

  void PaceAndRead() {
    const Duration pause = options_.pace ? options_.pace() : Duration::zero();
    if (pause <= Duration::zero()) return Read();
    pause_.expires_after(pause);
    pause_.async_wait([self = shared_from_this()](error_code cancelled) {
      if (!cancelled && self->state_ != State::kClosed) self->PaceAndRead();
    });
  }

  void Read() {
    socket_.async_read(inbox_, [self = shared_from_this()](error_code failed, std::size_t) { self->OnRead(failed); });
  }

  void OnRead(error_code failed) {
    if (state_ == State::kClosed) return;
    if (failed) return Close(EndingError(failed));
    Result<Json> message = TakeMessage();
    if (!message) {
      // The peer hears why before it is cut off, if it still listens.
      Send(ClosedMessage(message.error()));
      refusal_ = std::make_unique<Error>(message.error());
      return Finish();
    }
    ++counters_->messages_in;
    if (!finishing_ && events_.on_message) events_.on_message(*std::move(message));
    if (state_ != State::kClosed) PaceAndRead();
  }

  Result<Json> TakeMessage() {
    if (!socket_.got_text()) return InvalidArgument(peer_ + ": a binary control message; only JSON text is taken");
    const auto data = inbox_.cdata();
    Result<Json> message = ParseJson({static_cast<const char*>(data.data()), data.size()}, peer_);
    inbox_.consume(inbox_.size());
    inbox_.shrink_to_fit();  // an idle session holds no buffer
    if (message && !message->is_object()) return InvalidArgument(peer_ + ": a control message must be a JSON object");
    return message;
  }

  void Write() {
    socket_.async_write(asio::buffer(outbox_.front()),
                        [self = shared_from_this()](error_code failed, std::size_t) { self->OnWritten(failed); });
  }

  void OnWritten(error_code failed) {
    if (state_ == State::kClosed) return;
    if (failed) return;  // the read meets the same end, and says it better
    ++counters_->messages_out;
    const std::size_t bytes = outbox_.front().size();
    outbox_.pop_front();
    if (events_.on_sent) events_.on_sent(bytes);
    if (state_ == State::kClosed) return;
    if (!outbox_.empty()) return Write();
    if (finishing_) SayGoodbye();
  }

  void SayGoodbye() {
    socket_.async_close(websocket::close_code::normal, [self = shared_from_this()](error_code) {
      if (self->state_ != State::kClosed) self->Close(Unavailable(self->peer_ + ": the session has ended"));
    });
  }

  void Close(Error why) {
    if (refusal_ != nullptr) why = *std::exchange(refusal_, nullptr);
    const auto on_close = std::move(events_.on_close);
    Abort();
    if (on_close) on_close(why);
  }

  Error EndingError(error_code failed) {
    if (failed == websocket::error::message_too_big) {
      return ResourceExhausted(fmt::format("{}: a control message of more than {} bytes; bulk goes by PUT", peer_,
                                           options_.message_bytes_max));
    }
    if (const TlsFailure* failure = socket_.next_layer().failure(); failure != nullptr) return failure->error;
    if (failed == boost::beast::error::timeout) {
      return Unavailable(fmt::format("{}: nothing heard in time; the connection is given up", peer_));
    }
    if (failed == websocket::error::closed) return Unavailable(peer_ + ": the other side has ended the session");
    if (failed.category() == make_error_code(websocket::error::closed).category()) {
      return InvalidArgument(fmt::format("{}: not a WebSocket of ours ({})", peer_, failed.message()));
    }
    return Unavailable(fmt::format("{}: connection lost ({})", peer_, failed.message()));
  }

  const std::string peer_;
  const ControlChannelOptions options_;
  LinkCounters* const counters_;
  ControlChannelEvents events_;
  State state_ = State::kOpening;
  bool finishing_ = false;
  std::deque<std::string> outbox_;  // the first is being written
  boost::beast::flat_buffer inbox_;
  std::unique_ptr<Error> refusal_;  // why we close, if it is our doing
  websocket::response_type decline_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      pause_;
  websocket::stream<TlsStream, false> socket_;
};

}  // namespace

std::shared_ptr<ControlChannel> AcceptControlChannel(TlsStream stream, const std::string& head,
                                                     ControlChannelOptions options, LinkCounters& counters,
                                                     ControlChannelEvents events) {
  auto channel = std::make_shared<Channel>(std::move(stream), std::move(options), counters, std::move(events));
  channel->Accept(head);
  return channel;
}

std::shared_ptr<ControlChannel> ConnectControlChannel(TlsStream stream, const std::string& host,
                                                      const std::string& path, ControlChannelOptions options,
                                                      LinkCounters& counters, ControlChannelEvents events) {
  auto channel = std::make_shared<Channel>(std::move(stream), std::move(options), counters, std::move(events));
  channel->Connect(host, path);
  return channel;
}

}  // namespace fed_learn
