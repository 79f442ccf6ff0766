//! Limits of a guest's file, and of compiling it.

use pluto_contract::limits::TABLE_ELEMENTS_MAX;
use pluto_trace::limits::INSTANCES_MAX;

// What a guest's file may hold: counted before anything is compiled (`census`). Each is several
// times what the largest guests at hand have, which are CPython (18 MiB, by componentize-py) and
// SpiderMonkey (12 MiB, by componentize-js). Whatever passes is compiled within the bounds behind
// them.

/// Core modules and components inside each other. Compilers and `wasm-tools compose` make three
/// levels.
pub const NESTING_MAX: u64 = 32;

/// Core modules of a guest. CPython has 38, one for each of its dynamic libraries.
pub const MODULES_MAX: u64 = 256;

/// Components of a guest. QuickJS, by componentize-qjs, has 24.
pub const COMPONENTS_MAX: u64 = 512;

/// Core instances that a guest makes: what one may have while it runs.
pub const CORE_INSTANCES_MAX: u64 = INSTANCES_MAX as u64;

/// Instances of components that a guest makes. QuickJS has 23. Each costs the engine about 2 KiB.
pub const COMPONENT_INSTANCES_MAX: u64 = 512;

/// Definitions of a guest's components, each counted as often as its component is instantiated.
/// CPython has 3,257.
pub const COMPONENT_ITEMS_MAX: u64 = 100_000;

/// Functions with a body. CPython has 13,485. An empty one takes 5 bytes of the file and 5 KiB of
/// the compiler.
pub const FUNCTIONS_MAX: u64 = 100_000;

/// Bytes of one function. The largest of CPython has 427 KB. The compiler takes about 900 bytes
/// for each, for it has a function in memory as a whole.
pub const FUNCTION_BYTES_MAX: u64 = 2 << 20;

/// Locals of one function. CPython has 271; 50,000 are what WebAssembly allows.
pub const LOCALS_MAX: u64 = 10_000;

/// Loops of one function. SpiderMonkey has 392. The compiler's time grows with their square: so
/// many take 0.2 s, and ten times as many 14 s.
pub const LOOPS_MAX: u64 = 4_096;

/// Loops of one function inside each other. The compiler's time grows with their number times that
/// of the locals.
pub const LOOPS_NESTED_MAX: u64 = 256;

/// Blocks and conditions of one function. SpiderMonkey has 4,216.
pub const BLOCKS_MAX: u64 = 65_536;

/// Blocks of one function inside each other. CPython has 781.
pub const BLOCKS_NESTED_MAX: u64 = 8_192;

/// Targets of all `br_table` in one function. CPython has 15,805.
pub const BRANCH_TARGETS_MAX: u64 = 131_072;

/// Types of core modules and of components. CPython has 1,421.
pub const TYPES_MAX: u64 = 50_000;

/// Bytes of sections with types of components. QuickJS has 13 KB.
pub const TYPE_BYTES_MAX: u64 = 1 << 20;

/// Types of components inside each other: wasmparser reads them by recursion. `wit-component`
/// makes three levels.
pub const TYPES_NESTED_MAX: u64 = 32;

/// Imports and exports. CPython has 9,270, most of them between its libraries.
pub const NAMES_MAX: u64 = 100_000;

/// Bytes in the name of an import or export. Mangled names of C++ have a few thousand at most.
pub const NAME_BYTES_MAX: u64 = 16 << 10;

/// Bytes in all names of imports and exports. CPython has less than 1 MB. The host keeps them
/// several times.
pub const NAMES_BYTES_MAX: u64 = 8 << 20;

/// Memories of one core module. The engine itself makes modules with two, which copy from one to
/// the other.
pub const MEMORIES_OF_MODULE_MAX: u64 = 1;

/// Tables of one core module. Compilers make one or two.
pub const TABLES_OF_MODULE_MAX: u64 = 16;

/// Globals. CPython has 871.
pub const GLOBALS_MAX: u64 = 50_000;

/// Segments of data and elements. SpiderMonkey has 10,002, for its memory was initialised ahead of
/// time.
pub const SEGMENTS_MAX: u64 = 100_000;

/// Elements of tables that segments set. SpiderMonkey has 7,694.
pub const ELEMENTS_MAX: u64 = TABLE_ELEMENTS_MAX as u64;

/// Those of them that are expressions, which take 2.5 KiB of the compiler each. Compilers make
/// none.
pub const ELEMENT_EXPRESSIONS_MAX: u64 = 32_768;

/// The name of a function or a module, in a section that a debugger reads. The engine copies the
/// names of a backtrace, forty of them; a module with a longer one is compiled without names.
pub const DEBUG_NAME_BYTES_MAX: usize = 64 << 10;

// What the process that compiles a guest may take. A guest that needs more is refused.

/// Memory, for a guest of no size: a function of 400 KB takes so much.
pub const COMPILER_BYTES_MIN: u64 = 512 << 20;

/// Memory for each byte of the guest's file. CPython and SpiderMonkey take 20 and 33 in all.
pub const COMPILER_BYTES_FACTOR: u64 = 32;

/// Processor time, for a guest of no size. The examples take less than a second.
pub const COMPILER_SECONDS_MIN: u64 = 10;

/// Processor time for each MiB of the guest's file. It takes 0.8 to 1.4 s on the machine of the
/// measurements.
pub const COMPILER_SECONDS_OF_MIB: u64 = 6;

/// Time on the clock, for each second of processor time: other programs may want the processor
/// too.
pub const COMPILER_PATIENCE_FACTOR: u64 = 5;

/// Addresses beyond the memory, which the system's allocator reserves for each thread and does not
/// use.
pub const COMPILER_ADDRESSES: u64 = 8 << 30;

/// Threads that compile: each has a function in memory.
pub const COMPILER_THREADS_MAX: usize = 16;

/// Compiled code, for a guest of no size.
pub const CODE_BYTES_MIN: u64 = 32 << 20;

/// Compiled code for each byte of the guest's file. It is 2 to 3 times as large.
pub const CODE_BYTES_FACTOR: u64 = 8;

/// What the process that compiles may say: the message of an error.
pub const COMPILER_WORDS_BYTES_MAX: usize = 16 << 10;
