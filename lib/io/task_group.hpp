// TaskGroup: owns coroutines. The first failure cancels the rest; join() waits for all and rethrows
// it. Children are told apart so that one can be cancelled alone. Destroying a group that still has
// children is a bug: the owner cancels and joins in its stop(). Lives on one strand.
#pragma once

#include <exception>
#include <list>
#include <memory>

#include <boost/asio/cancellation_signal.hpp>

#include "lib/base/ids.hpp"
#include "lib/io/signal.hpp"
#include "lib/io/task.hpp"

namespace longhaul::io {

using TaskId = Id<struct TaskTag>;

class TaskGroup {
 public:
  explicit TaskGroup(Executor executor) : executor_(executor), changed_(executor) {}
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  TaskId spawn(Task<> task);
  void cancel();              // all children, and whatever is spawned later
  void cancel(TaskId child);  // nothing happens if it has ended
  Task<> join();              // returns when no child is left; rethrows the first failure once
  std::size_t size() const { return children_.size(); }

 private:
  struct Child {
    TaskId id;
    boost::asio::cancellation_signal stop;
  };
  void on_end(std::list<Child>::iterator child, std::exception_ptr failure);
  Executor executor_;
  Signal changed_;
  std::list<Child> children_;
  std::exception_ptr failure_;
  TaskId next_{1};
  bool cancelled_ = false;
  std::shared_ptr<TaskGroup*> self_ = std::make_shared<TaskGroup*>(this);
};

}  // namespace longhaul::io
