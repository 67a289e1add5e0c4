#include "lib/io/task_group.hpp"

#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "lib/base/assert.hpp"

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

bool is_cancellation(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

}  // namespace

TaskGroup::~TaskGroup() {
  ASSERT(children_.empty());
}

TaskId TaskGroup::spawn(Task<> task) {
  const TaskId id = std::exchange(next_, next_.next());
  children_.emplace_back();
  const auto child = std::prev(children_.end());
  child->id = id;
  auto done = [this, child](std::exception_ptr failure) { on_end(child, std::move(failure)); };
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(child->stop.slot(), std::move(done)));
  if (cancelled_) cancel(id);
  return id;
}

void TaskGroup::on_end(std::list<Child>::iterator child, std::exception_ptr failure) {
  children_.erase(child);
  if (failure && !is_cancellation(failure)) {
    if (!failure_) failure_ = std::move(failure);
    cancel();
  }
  changed_.notify();
}

void TaskGroup::cancel() {
  cancelled_ = true;
  for (Child& child : children_) cancel(child.id);
}

void TaskGroup::cancel(TaskId id) {
  // By id and later: a child may end, and its slot die, before its turn; and none is resumed inside
  // cancel().
  auto stop = [alive = std::weak_ptr<TaskGroup*>(self_), id] {
    const std::shared_ptr<TaskGroup*> group = alive.lock();
    if (!group) return;  // joined and gone since
    for (Child& child : (*group)->children_) {
      if (child.id == id) {
        child.stop.emit(asio::cancellation_type::terminal);
        return;
      }
    }
  };
  asio::post(executor_, std::move(stop));
}

Task<> TaskGroup::join() {
  while (!children_.empty()) {
    co_await changed_.wait();
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace longhaul::io
