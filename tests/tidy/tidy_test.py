"""Each rule of tools/tidy on a tree that breaks it and on one that does not."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from tidy_rules import (coroutines, errors, exceptions, homes, layers, layout, mutants, pages,  # noqa: E402
                        promises, purity, size, words)  # noqa: E402
from tidy_rules.source import Finding, Tree, blank_comments_and_strings  # noqa: E402


class TidyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def tree(self, files):
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text, encoding="utf-8")
        return Tree(self.root, use_git=False)

    def found(self, check, files):
        return [(f.path, f.line, f.rule) for f in check(self.tree(files))]


class Source(TidyTest):
    def test_blanks_comments_and_strings_and_keeps_lines(self):
        code = blank_comments_and_strings('a = "x;{"; // {\n/* {\n{ */ b = \'{\'; c = 1\'000; R"x(\n{)x" d')
        self.assertNotIn("{", code)
        self.assertEqual(code.count("\n"), 3)
        self.assertIn("1'000", code)
        self.assertTrue(code.endswith("d"))


class Size(TidyTest):
    def test_long_files(self):
        self.assertEqual(self.found(size.file_size, {"lib/a.cpp": "\n" * 400, "tests/a.cpp": "\n" * 600}), [])
        self.assertEqual(self.found(size.file_size, {"lib/a.cpp": "\n" * 401, "tests/a.cpp": "\n" * 601}),
                         [("lib/a.cpp", 401, "file-size"), ("tests/a.cpp", 601, "file-size")])

    def test_long_functions_wherever_they_stand(self):
        body = "{\n" + "  x();\n" * 58 + "}\n"
        longer = "{\n" + "  x();\n" * 59 + "}\n"
        heads = {"free": "int f(int a) ", "member": "A::A(int a) : a_(a), b_{} ",
                 "const": "int A::f() const noexcept ",
                 "test": "TEST(A, B) ", "trailing": "auto f() -> Result<int> ",
                 "template": "template <class T>\nvoid f(T t) ", "static": "static std::map<int, int> f() "}
        for name, head in heads.items():
            lines = head.count("\n")
            with self.subTest(name):
                inside = "namespace a {\nclass B {\n" if name == "const" else "namespace {\n"
                short = body if lines == 0 else body.replace("  x();\n", "", lines)
                self.assertEqual(self.found(size.function_size, {"a.cpp": inside + head + short}), [])
                self.assertEqual(len(self.found(size.function_size, {"a.cpp": inside + head + longer})), 1)

    def test_long_classes_and_tables_are_no_functions(self):
        rows = "".join(f"  int a{i} = f({i});\n" for i in range(99))
        for head in ("struct A {\n", "namespace a {\n", "class A : public B<int> {\n", "constexpr T kT = {\n"):
            self.assertEqual(self.found(size.function_size, {"a.hpp": head + rows + "};\n"}), [], head)

    def test_headers_begin_with_what_they_are(self):
        self.assertEqual(self.found(size.header_opening, {"a.hpp": "// A thing.\n#pragma once\n"}), [])
        self.assertEqual(len(self.found(size.header_opening, {"a.hpp": "#include <a>\n"})), 2)


class Words(TidyTest):
    def test_bans_calls_in_code_only(self):
        for line in ("std::cout << std::endl;", "auto t = std::chrono::steady_clock::now();", "rand();",
                     "std::uniform_int_distribution<int> d;", "std::thread t(f);", "co_spawn(e, f(), detached);",
                     "Result<bool> f();", "#define MAX 3", "assert(x);", "int n = atoi(s);",
                     "std::this_thread::sleep_for(1s);"):
            with self.subTest(line):
                self.assertIn("banned-call", {r for _, _, r in self.found(words.banned, {"lib/wire/a.cpp": line})})
                comment = {"lib/wire/a.cpp": f"// {line}\n", "lib/wire/b.cpp": f'auto s = R"({line})";\n'}
                self.assertEqual(self.found(words.banned, comment), [])
                (self.root / "lib/wire/b.cpp").unlink()

    def test_knows_where_they_are_right(self):
        self.assertEqual(self.found(words.banned, {
            "lib/io/a.cpp": "auto t = std::chrono::steady_clock::now(); std::thread t(f);",
            "lib/base/a.cpp": "static_assert(a); my_assert(b); operand(c); std::thread::id d;",
            "lib/base/assert.hpp": "#define ASSERT(x) f(x)"}), [])

    def test_keeps_waits_for_the_device_out_of_the_trainer(self):
        model, rate = "trainer/engine/device_model.cpp", "trainer/engine/memory_rate.cpp"
        for call in ("x.item<double>()", "x.sum().item()", "x->item<T>()", "t.template item<T>()"):
            take = f"template <class T>\nT Model<T>::take_loss() {{\n  return {call};\n}}\n"
            step = take.replace("take_loss()", "step()")
            with self.subTest(call):
                self.assertEqual(self.found(words.banned, {model: take, "trainer/a.cpp": take}),
                                 [("trainer/a.cpp", 3, "banned-call")])
                (self.root / "trainer/a.cpp").unlink()
                # In the file of the function that may, it is as wrong as anywhere.
                self.assertEqual(self.found(words.banned, {model: take + step}),
                                 [(model, 7, "banned-call")])
                (self.root / model).unlink()
        self.assertEqual(self.found(words.banned, {
            "tests/trainer/a.cpp": "x.item<double>();",
            "trainer/a.cpp": "// x.item()\nitem(x); x.items();",
            rate: "Rate host_memory_rate() { return {x.item<float>()}; }\n"}), [])

    def test_never_forks_what_may_have_threads(self):
        calls = ("fork()", "::fork()", "vfork()", 'std::system("ls")', "::system(a)", "popen(a, b)")
        for path in ("trainer/ranks/a.cpp", "lib/client/a.cpp", "tools/longhaul-train/a.cpp"):
            for call in calls:
                with self.subTest(f"{path}: {call}"):
                    self.assertEqual(self.found(words.banned, {path: f"f();\nauto a = {call};\n"}),
                                     [(path, 2, "banned-call")])
            self.assertEqual(self.found(words.banned, {
                path: "posix_spawn(a); pthread_atfork(a); // fork()\n"
                      "throw std::system_error(a); a.fork(); a->system(b);\n"}), [])
        self.assertEqual(self.found(words.banned, {"streamer/a.cpp": "::fork();",
                                                   "tools/bench/a.cpp": "::fork();"}), [])

    def test_names_the_line_and_the_replacement(self):
        finding = next(iter(words.banned(self.tree({"lib/a.cpp": "\n\nauto x = std::random_device{}();"}))))
        self.assertEqual(finding.line, 3)
        self.assertIn("Env::entropy", str(finding))

    def test_wants_an_issue_behind_a_todo(self):
        self.assertEqual(len(self.found(words.banned, {"a.cpp": "// TODO: later\n"})), 1)
        self.assertEqual(self.found(words.banned, {"a.cpp": "// TODO(#12): later\n"}), [])

    def test_lets_cores_look_up_hash_tables_and_not_walk_them(self):
        header = "class A { std::unordered_map<int, std::vector<B>> by_name_; };\n"
        good = "auto it = by_name_.find(3); if (it == by_name_.end()) f();\n"
        self.assertEqual(self.found(words.unordered_walks,
                                    {"lib/store/a.hpp": header, "lib/store/a.cpp": good}), [])
        for bad in ("for (auto& [k, v] : by_name_) f(k);", "for (auto& p : a.by_name_) f(p);",
                    "auto it = by_name_.begin();"):
            self.assertEqual(self.found(words.unordered_walks, {"lib/store/a.cpp": bad}),
                             [("lib/store/a.cpp", 1, "unordered-walk")], bad)

    def test_bans_flags_and_boasts(self):
        self.assertEqual(self.found(words.banned, {"CMakeLists.txt": "add_compile_options(-march=native)",
                                                   "README.md": "It is blazing fast."}),
                         [("CMakeLists.txt", 1, "banned-flag"), ("README.md", 1, "banned-word")])


LAYERS = {"lib/base/CMakeLists.txt": "add_layer(base\n  SOURCES a.cpp)", "lib/base/README.md": "# base\n",
          "lib/base/a.hpp": "", "lib/base/a.cpp": '#include "lib/base/a.hpp"\n',
          "lib/wire/CMakeLists.txt": "add_layer(wire\n  SOURCES b.cpp\n  USES base\n  ALONE b.cpp\n  LINK x)",
          "lib/wire/README.md": "# wire\n", "lib/wire/b.hpp": "",
          "lib/wire/b.cpp": '#include "lib/base/a.hpp"\n'}


class Layers(TidyTest):
    def test_includes_are_what_is_declared(self):
        self.assertEqual(self.found(layers.includes_match_uses, LAYERS), [])
        self.assertEqual(self.found(layers.includes_match_uses, {"lib/base/a.cpp": '\n#include "lib/wire/b.hpp"'}),
                         [("lib/base/a.cpp", 2, "layer-uses")])

    def test_nothing_is_declared_in_vain(self):
        files = {**LAYERS, "lib/wire/b.cpp": ""}
        self.assertEqual(self.found(layers.includes_match_uses, files),
                         [("lib/wire/CMakeLists.txt", 1, "layer-uses")])

    def test_includes_start_at_the_root(self):
        files = {**LAYERS, "lib/base/a.cpp": '#include "a.hpp"\n'}
        self.assertEqual(self.found(layers.includes_match_uses, files), [("lib/base/a.cpp", 1, "include-path")])

    def test_a_generated_header_is_known_by_its_template(self):
        files = {**LAYERS, "lib/base/a.cpp": '#include "lib/base/version.hpp"\n', "lib/base/version.hpp.in": ""}
        self.assertEqual(self.found(layers.includes_match_uses, files), [])

    def test_folders_are_nouns_and_have_a_short_readme(self):
        self.assertEqual(self.found(layers.readmes, LAYERS), [])
        self.assertEqual(self.found(layers.readmes, {"lib/base/README.md": "a\n" * 6}),
                         [("lib/base/README.md", 1, "readme")])
        (self.root / "lib/base/README.md").unlink()
        self.assertEqual(self.found(layers.readmes, {}), [("lib/base/README.md", 1, "readme")])
        self.assertEqual(self.found(layers.folder_names, {"lib/utils/x/a.cpp": ""}),
                         [("lib/utils", 1, "folder-name")])


class Homes(TidyTest):
    def test_heavy_headers_stay_at_home(self):
        self.assertEqual(self.found(homes.heavy_headers, {
            "lib/io/a.cpp": "#include <boost/asio/post.hpp>\n#include <sys/socket.h>\n",
            "lib/crypto/a.cpp": "#include <openssl/evp.h>\n", "lib/base/a.cpp": "#include <fmt/format.h>\n"}), [])
        for header in ("boost/asio.hpp", "boost/asio/post.hpp", "sys/socket.h", "openssl/evp.h", "zstd.h",
                       "nlohmann/json.hpp", "torch/torch.h", "zmq.hpp", "regex", "toml++/toml.h", "sqlite3.h"):
            with self.subTest(header):
                self.assertEqual(self.found(homes.heavy_headers, {"lib/base/a.cpp": f"#include <{header}>\n"}),
                                 [("lib/base/a.cpp", 1, "heavy-header")])

    def test_the_client_is_met_through_its_one_header(self):
        public, private = '#include "lib/client/longhaul.h"\n', '#include "lib/client/writer.hpp"\n'
        for path in ("trainer/client/a.cpp", "trainer/a.hpp", "tools/longhaul-train/main.cpp",
                     "tools/bench/a.cpp", "tests/trainer/a_test.cpp", "tests/sim/a.cpp",
                     "tests/fuzz/a.cpp", "streamer/a.cpp", "lib/clients/a.cpp"):
            for text in (private, private.replace('"', "<", 1).replace('"', ">")):
                with self.subTest(f"{path}: {text}"):
                    self.assertEqual(self.found(homes.heavy_headers, {path: public + text}),
                                     [(path, 2, "private-header")])
                    (self.root / path).unlink()
        for path in ("lib/client/a.cpp", "tests/client/a_test.cpp", "streamer/drain.cpp",
                     "tests/streamer/drain_test.cpp"):
            self.assertEqual(self.found(homes.heavy_headers, {path: public + private}), [], path)
        self.assertEqual(self.found(homes.heavy_headers, {"trainer/client/a.cpp": public}), [])


class Coroutines(TidyTest):
    GOOD = ("co_await f(a, b);", "auto r = co_await f(a);", "const auto& r = co_await f(a);",
            "x = co_await f();", "co_return co_await f(a);",
            "Result<std::map<int, int>> r = co_await f(a);", "self.x_ = co_await f();",
            "auto [a, b] = co_await f(c);", "if (ready) co_await f(a);", "while (go(a)) { co_await f(a); }",
            "else co_await f();", "for (int i = 0; i < 3; ++i) co_await f(i);", "std::size_t n = co_await f();",
            "case 1: co_await f();")
    BAD = ("if (co_await f()) g();", "while (co_await f()) {}", "g(co_await f());",
           "auto r = 1 + co_await f();", "for (;co_await f();) g();",
           "co_await f(Options{.a = 1});", "co_await f([v] { g(v); });", "co_await f({});",
           "auto r = *co_await f();",
           "switch (co_await f()) {}", "auto r = (co_await f()).value();", "co_return g(co_await f());",
           "return co_await f() == 3;", "for (int i = 0; i < 3; i += co_await f()) g();")

    def test_statements_of_their_own_pass(self):
        for line in self.GOOD:
            self.assertEqual(list(coroutines.co_awaits(f"Task<> t() {{\n  a();\n  {line}\n}}")), [], line)

    def test_what_the_compiler_gets_wrong_does_not(self):
        for line in self.BAD:
            self.assertEqual(len(list(coroutines.co_awaits(f"Task<> t() {{\n  a();\n  {line}\n}}"))), 1, line)


class Purity(TidyTest):
    def test_judges_by_symbol(self):
        for symbol in ("clock_gettime", "std::chrono::_V2::steady_clock::now()", "socket", "open64", "getrandom",
                       "pthread_create", "std::filesystem::status(std::filesystem::path const&)", "getenv"):
            self.assertIsNotNone(purity.judged(symbol), symbol)
        for symbol in ("memcpy", "malloc", "operator new(unsigned long)", "fwrite", "abort",
                       "longhaul::Rng::next()",
                       "longhaul::store::Files::open(int)", "std::__throw_bad_alloc()"):
            self.assertIsNone(purity.judged(symbol), symbol)

    def test_reads_archives(self):
        tree = self.tree({**LAYERS, "clock.c": "#include <time.h>\nlong f(void) { return time(0); }\n"})
        (self.root / "out/lib/base").mkdir(parents=True)
        subprocess.run(["cc", "-c", "clock.c", "-o", "clock.o"], cwd=self.root, check=True)
        subprocess.run(["ar", "rcs", "out/lib/base/liblonghaul_base.a", "clock.o"], cwd=self.root, check=True)
        findings = list(purity.purity(tree, self.root / "out"))
        self.assertEqual(len(findings), 1)
        self.assertIn("calls time; base is a pure layer", findings[0].message)


class Layout(TidyTest):
    @unittest.skipIf(layout.clang_format() is None, "clang-format 14 is not here")
    def test_finds_what_is_not_formatted(self):
        files = {".clang-format": "BasedOnStyle: Google\n", "a.cpp": "int  f( );\n", "b.cpp": "int f();\n"}
        self.assertEqual(self.found(layout.layout, files), [("a.cpp", 1, "layout")])


class Pages(TidyTest):
    def test_links_lead_somewhere(self):
        files = {"docs/a.md": "# A\n## The `b`, and c\n[x](b.md) [y](../lib/x.hpp) [z](#the-b-and-c) [w](../lib) "
                              "[u](https://example.org/x)\n```\n[code](nowhere)\n```\n",
                 "docs/b.md": "[x](a.md#a)\n[y](a.md#missing)\n[z](c.md)\n[w](#b)\n", "lib/x.hpp": ""}
        self.assertEqual(self.found(pages.links, files), [("docs/b.md", line, "link") for line in (2, 3, 4)])

    def test_tests_that_are_named_exist(self):
        files = {"tests/a.cpp": "TEST(Link, Works) {}\nTEST_P(Store, Crashes) {}\n",
                 "tests/e2e/CMakeLists.txt": "add_reach_test(auth x y)\nadd_test(NAME e2e.demo COMMAND x)\n",
                 "tests/e2e/auth.py": "def a1_roles(world):\n    pass\n",
                 pages.FAULTS: "`Link.Works` `Store.*` `e2e.auth` (`a1_roles`) `e2e.demo` `a.cpp`\n"
                               "`Link.Breaks`\n`Files.*`\n`e2e.gone`\n`e2e.auth` (`a1_roles`, `a2_gone`)\n"}
        self.assertEqual(self.found(pages.named_tests, files),
                         [(pages.FAULTS, line, "fault-test") for line in (2, 3, 4, 5)])


class Errors(TidyTest):
    CODE = ('Error x() {\n  return Error(Kind::kUsage, "do it", "it is " + what() + ", which, no")\n'
            '      .advise("write it so, or "\n              "so");\n}\n'
            'auto y() { return fail(Kind::kIo, "read \'(\'", fmt::format("{} bytes are missing", n)); }\n'
            'auto z() { return fail_errno("open it", errno); }\n')

    def test_each_text_stands_in_a_test_or_on_the_list(self):
        tests = 'EXPECT_EQ(why, "it is 3, which, no");\nEXPECT_EQ(advice, "write it so, or "\n  "so");\n'
        files = {"proxy/a.cpp": self.CODE, "tests/a.cpp": tests, errors.FILE: "# none\n"}
        self.assertEqual(self.found(errors.error_texts, files), [("proxy/a.cpp", 6, "error-text")])
        files["tests/e2e/a.py"] = 'assert "3 bytes are missing" in said\n'
        self.assertEqual(self.found(errors.error_texts, files), [])

    def test_the_list_holds_what_is_needed_and_no_more(self):
        files = {"proxy/a.cpp": self.CODE, "lib/b.cpp": self.CODE, "tests/a.cpp": "",
                 errors.FILE: "proxy/a.cpp: * # nobody meets it\nlib/b.cpp: bytes are missing # for ever so\n"
                              "lib/b.cpp: is gone # since long ago\n"}
        self.assertEqual(self.found(errors.error_texts, files),
                         [("lib/b.cpp", 2, "error-text"), ("lib/b.cpp", 3, "error-text"),
                          (errors.FILE, 3, "error-text")])

    def test_a_line_without_a_reason_is_no_line(self):
        with self.assertRaises(ValueError):
            self.found(errors.error_texts, {errors.FILE: "proxy/a.cpp: text\n"})


class Mutants(TidyTest):
    PATCH = ("It adds.\n\n--- a/lib/a.cpp\n+++ b/lib/a.cpp\n@@ -1,2 +1,2 @@\n int a;\n"
             "-int b = a - 1;\n+int b = a + 1;\n")

    def test_a_stored_bug_finds_the_lines_that_it_changes(self):
        files = {"lib/a.cpp": "int a;\nint b = a - 1;\n", "tests/mutants/adds.patch": self.PATCH}
        self.assertEqual(self.found(mutants.stored_bugs, files), [])
        files["lib/a.cpp"] = "int a;\nint b = a - 2;\n"
        self.assertEqual(self.found(mutants.stored_bugs, files), [("tests/mutants/adds.patch", 1, "mutant")])

    def test_each_file_that_syncs_has_a_row(self):
        rows = "# whose\nlib/a.cpp  a_test\n"
        files = {"tests/mutants/syncs.txt": rows,
                 "lib/a.cpp": "  TRY(file->sync());\n", "lib/b.cpp": "// sync()\n"}
        self.assertEqual(self.found(mutants.syncs, files), [])
        files["lib/b.cpp"] = "  return files_.sync_all();\n"
        self.assertEqual(self.found(mutants.syncs, files), [("lib/b.cpp", 1, "sync")])
        files |= {"lib/a.cpp": "int a;\n", "lib/b.cpp": ""}
        self.assertEqual(self.found(mutants.syncs, files), [("tests/mutants/syncs.txt", 1, "sync")])


class Promises(TidyTest):
    TABLE = "P1 shipped | It never waits | 1 ms\nP2 planned | It survives | all points\n"

    def with_page(self, files):
        self.tree(files)
        (self.root / "docs").mkdir(exist_ok=True)
        (self.root / promises.PAGE).write_text(promises.page(Tree(self.root, use_git=False)), encoding="utf-8")
        return list(promises.kept(Tree(self.root, use_git=False)))

    def test_a_shipped_promise_needs_a_test(self):
        findings = self.with_page({promises.TABLE: self.TABLE, "tests/a.cpp": "TEST(Link, Works) {}"})
        self.assertEqual([(f.path, f.line) for f in findings], [(promises.TABLE, 1)])
        self.assertEqual(self.with_page({"tests/a.cpp": "TEST(Link, P1NeverWaits) {}"}), [])
        self.assertEqual(self.with_page({"tests/a.cpp": "TEST_F(P1_Link, NeverWaits) {}"}), [])

    def test_a_bench_may_bear_a_promise(self):
        table = self.TABLE.replace("P1 shipped", "P1 shipped by tools/bench/wait")
        self.assertEqual([f.message for f in self.with_page({promises.TABLE: table})],
                         ["there is no tools/bench/wait"])
        self.assertEqual(self.with_page({promises.TABLE: table, "tools/bench/wait": "#!/bin/sh\n"}), [])

    def test_the_readme_says_what_is_not_yet_kept(self):
        files = {promises.TABLE: self.TABLE, "tests/a.cpp": "TEST(Link, P1NeverWaits) {}"}
        readme = "# x\n- P1 It never waits.\n- P2 It survives: not yet.\n"
        self.assertEqual(self.with_page(dict(files, **{"README.md": readme})), [])
        for wrong, line in ((readme.replace(": not yet", ""), 3), (readme.replace("waits", "waits, not yet"), 2),
                            (readme.replace("- P2", "P2"), 1)):
            found = self.with_page(dict(files, **{"README.md": wrong}))
            self.assertEqual([(f.path, f.line) for f in found], [("README.md", line)])

    def test_a_test_names_a_promise_that_exists(self):
        findings = self.with_page({promises.TABLE: self.TABLE,
                                   "tests/a.cpp": "TEST(A, P1B) {}\nTEST(A, P7C) {}\nTEST(HTTP2P3, MP4) {}"})
        self.assertEqual([(f.path, f.line) for f in findings], [("tests/a.cpp", 2)])

    def test_the_page_lists_tests_and_gaps_and_is_current(self):
        tree = self.tree({promises.TABLE: self.TABLE, "tests/a.cpp": "TEST(Link, P1NeverWaits) {}"})
        self.assertIn("Link.P1NeverWaits", promises.page(tree))
        self.assertIn("## P2. It survives\n\nall points.\n\nNot yet tested.", promises.page(tree))
        self.assertEqual([f.path for f in promises.kept(tree)], [promises.PAGE])


class Exceptions(TidyTest):
    LONG = Finding("a.cpp", 450, "file-size", "450 lines, the limit is 400")

    def applied(self, text, findings=(LONG,)):
        tree = self.tree({exceptions.FILE: text})
        return exceptions.apply(exceptions.read(tree), list(findings))

    def test_cover_their_own_rule_and_file_up_to_their_limit(self):
        self.assertEqual(self.applied("file-size a.cpp 450 # one table, no noun to cut at\n"), [])
        self.assertEqual(self.applied("file-size a.cpp 449 # one table, no noun to cut at\n"), [self.LONG])
        self.assertIn(self.LONG, self.applied("file-size b.cpp 450 # one table, no noun to cut at\n"))

    def test_only_shrink(self):
        self.assertEqual(len(self.applied("file-size a.cpp 450 # one table, no noun to cut at\n", ())), 1)
        self.assertEqual(len(self.applied("file-size a.cpp 500 # one table, no noun to cut at\n")), 1)

    def test_need_a_reason(self):
        with self.assertRaises(ValueError):
            self.applied("file-size a.cpp 450\n")


class Command(TidyTest):
    def test_says_where_and_fails(self):
        self.tree({**LAYERS, "lib/base/a.cpp": "// a\nint f() { return rand(); }\n",
                   ".clang-format": "BasedOnStyle: Google\n"})
        run = subprocess.run([sys.executable, str(ROOT / "tools/tidy"), "--root", str(self.root), "--rule",
                              "banned-call"], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("lib/base/a.cpp:2: [banned-call] `rand(` is banned: write Rng", run.stdout)


if __name__ == "__main__":
    unittest.main()
