// Runs Apache Mesos' own local mode, one master and several agents in one process, out of the shared object
// that the Python package mesos.scheduler ships. No Python is involved: this program only gives that
// object a main().
//
//     mesos-host LIBRARY WORK_DIR AGENTS
//
// Address and port come from LIBPROCESS_IP and LIBPROCESS_PORT, every other setting from MESOS_… variables.
// It has to be C++: std::string crosses the boundary, so both sides must share libstdc++'s layout of it.

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

// The library is a Python extension and expects these names from its interpreter. Local mode never calls
// them; if it ever does, stopping with the name beats running on with garbage.
[[noreturn]] void called_python(const char* name) {
  fprintf(stderr, "mesos-host: the library called %s, and there is no Python here\n", name);
  abort();
}

}  // namespace

#define PYTHON_FUNCTION(name) \
  extern "C" void name() { called_python(#name); }

PYTHON_FUNCTION(PyArg_ParseTuple)
PYTHON_FUNCTION(PyDict_GetItemString)
PYTHON_FUNCTION(PyErr_Format)
PYTHON_FUNCTION(PyErr_Occurred)
PYTHON_FUNCTION(PyErr_Print)
PYTHON_FUNCTION(PyEval_InitThreads)
PYTHON_FUNCTION(PyEval_RestoreThread)
PYTHON_FUNCTION(PyEval_SaveThread)
PYTHON_FUNCTION(PyGILState_Ensure)
PYTHON_FUNCTION(PyGILState_Release)
PYTHON_FUNCTION(PyImport_ImportModule)
PYTHON_FUNCTION(PyInt_FromLong)
PYTHON_FUNCTION(PyIter_Next)
PYTHON_FUNCTION(PyList_GetItem)
PYTHON_FUNCTION(PyList_New)
PYTHON_FUNCTION(PyList_SetItem)
PYTHON_FUNCTION(PyList_Size)
PYTHON_FUNCTION(PyModule_AddObject)
PYTHON_FUNCTION(PyModule_GetDict)
PYTHON_FUNCTION(PyObject_CallMethod)
PYTHON_FUNCTION(PyObject_GetIter)
PYTHON_FUNCTION(PyString_AsStringAndSize)
PYTHON_FUNCTION(PyType_Ready)
PYTHON_FUNCTION(Py_InitModule4_64)

// Data symbols are bound when the library is loaded, so they must exist even though nobody reads them.
extern "C" {
void* PyExc_Exception;
void* PyExc_TypeError;
long _Py_NoneStruct[8];
}

namespace {

// stout's Option<std::string>: a state word (0 is "some", 1 is "none") before a union with the value.
struct OptionalString {
  int state = 1;
  union {
    std::string value;
  };

  OptionalString() {}
  explicit OptionalString(const char* text) : state(0), value(text) {}
  ~OptionalString() {
    if (state == 0) value.~basic_string();
  }
};

// mesos::internal::local::Flags. FlagsBase is a *virtual* base, so the object opens with a pointer to the
// virtual table and its own members come next; the base follows behind them. The members, in their order:
//   offset  8  std::string work_dir    32 bytes in the C++11 ABI
//   offset 40  int num_slaves          1 unless set
// The complete object is far below 64 KiB; the constructor fills what it owns, base included.
struct alignas(16) LocalFlags {
  char bytes[64 * 1024] = {};

  std::string& work_dir() { return *reinterpret_cast<std::string*>(bytes + 8); }
  int& agents() { return *reinterpret_cast<int*>(bytes + 40); }
};

template <typename Function>
Function find(void* library, const char* symbol) {
  void* address = dlsym(library, symbol);
  if (address == nullptr) {
    fprintf(stderr, "mesos-host: the library has no %s\n", symbol);
    exit(1);
  }
  return reinterpret_cast<Function>(address);
}

}  // namespace

int main(int argc, char** argv) {
  const int agents = argc == 4 ? atoi(argv[3]) : 0;
  if (agents < 1) {
    fprintf(stderr, "usage: mesos-host LIBRARY WORK_DIR AGENTS\n");
    return 2;
  }

  // Lazy, so that a name nobody calls may stay unresolved.
  void* library = dlopen(argv[1], RTLD_LAZY | RTLD_GLOBAL);
  if (library == nullptr) {
    fprintf(stderr, "mesos-host: load the library: %s\n", dlerror());
    return 1;
  }

  // bool process::initialize(const Option<string>& delegate, const Option<string>& read_write_realm,
  //                          const Option<string>& read_only_realm)
  using Initialize = bool (*)(const OptionalString&, const OptionalString&, const OptionalString&);
  auto initialize = find<Initialize>(
      library,
      "_ZN7process10initializeERK6OptionINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEES9_S9_");

  // mesos::internal::local::Flags::Flags(), the form that also constructs virtual bases.
  using Construct = void (*)(LocalFlags*);
  auto construct = find<Construct>(library, "_ZN5mesos8internal5local5FlagsC1Ev");

  // PID<Master> mesos::internal::local::launch(const Flags&, Allocator*). The result has a destructor, so the
  // caller passes the room for it as a hidden first argument.
  using Launch = void (*)(void*, const LocalFlags&, void*);
  auto launch = find<Launch>(
      library, "_ZN5mesos8internal5local6launchERKNS1_5FlagsEPNS_9allocator9AllocatorE");

  // With the master as delegate its endpoints answer at "/" as well as at "/master", as in a real process.
  initialize(OptionalString("master"), OptionalString(), OptionalString());

  // Both live as long as the process: Mesos keeps references, and nothing is ever torn down but by a signal.
  static LocalFlags flags;
  alignas(16) static char master[4096];

  construct(&flags);
  if (flags.agents() != 1) {
    fprintf(stderr, "mesos-host: num_slaves is not where it was expected; is this Mesos 1.4.3 or 1.11.0?\n");
    return 1;
  }
  flags.work_dir() = argv[2];
  flags.agents() = agents;
  launch(master, flags, nullptr);

  for (;;) pause();
}
