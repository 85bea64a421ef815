//! Compiles kernels with clang, once: shared objects are kept in a directory under a hash of all that went into them.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// The header that stands for Metal's library, and the machine that runs threads as fibers.
const SHIM: &[(&str, &str)] = &[
    ("atomic.h", include_str!("../shim/atomic.h")),
    ("math.h", include_str!("../shim/math.h")),
    ("metal.h", include_str!("../shim/metal.h")),
    ("runtime.cpp", include_str!("../shim/runtime.cpp")),
    ("runtime.h", include_str!("../shim/runtime.h")),
    ("simd.h", include_str!("../shim/simd.h")),
    ("vector.h", include_str!("../shim/vector.h")),
];

/// Clang 16 is the first that keeps half precision to itself on x86.
const OLDEST: u32 = 16;
const NEWEST: u32 = 24;

/// What the compiler may do to floating-point arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Each operation rounds by itself, in the order written.
    Strict,
    /// Sums may be reordered, products fused into them, divisions replaced; NaN and infinity are assumed away. Metal
    /// compiles so unless told otherwise, and wgpu 30 does not tell it.
    Fast,
}

/// Why there is no compiler.
#[derive(Debug, thiserror::Error)]
pub enum CompilerError {
    /// No clang++ of version 16 or later.
    #[error("no clang++ of version {OLDEST} or later was found; MYNAH_CLANG may name one")]
    Missing,
    /// A file of the cache can't be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: String,
        /// What happened.
        source: io::Error,
    },
    /// Clang objects.
    #[error("{0}")]
    Refused(String),
}

/// Clang with the shim compiled by it.
#[derive(Debug)]
pub struct Compiler {
    clang: PathBuf,
    flags: Vec<String>,
    cache: PathBuf,
    shim: PathBuf,
}

/// The clang++ that kernels are compiled with and its version, `MYNAH_CLANG` if that is set.
pub fn find_clang() -> Option<(PathBuf, String)> {
    let named = std::env::var_os("MYNAH_CLANG").into_iter();
    let known = (OLDEST..=NEWEST).rev().map(|v| OsString::from(format!("clang++-{v}")));
    named.chain(["clang++".into()]).chain(known).find_map(|name| {
        let output = Command::new(&name).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, number) = version.split_once("clang version ")?;
        let major: u32 = number.split('.').next()?.parse().ok()?;
        (major >= OLDEST).then(|| (name.into(), version))
    })
}

impl Compiler {
    /// Compiles the shim into `cache`, or finds it there.
    ///
    /// # Errors
    /// [`CompilerError`]: there is no clang, or it can't do its work.
    pub fn new(cache: &Path, arithmetic: Arithmetic) -> Result<Self, CompilerError> {
        let (clang, version) = find_clang().ok_or(CompilerError::Missing)?;
        let flags = flags(arithmetic);
        let key = digest(&(&version, &flags, SHIM));
        let shim = cache.join(format!("shim-{key:016x}"));
        let compiler = Self { clang, flags, cache: shim.join("kernels"), shim };
        fs::create_dir_all(&compiler.cache).map_err(|e| io_error(&compiler.cache, e))?;
        compiler.build_shim()?;
        Ok(compiler)
    }

    /// The machine's shared object, which kernels need loaded.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.shim.join("runtime.so")
    }

    fn build_shim(&self) -> Result<(), CompilerError> {
        for (name, text) in SHIM {
            self.once(name, |path| fs::write(path, text).map_err(|e| io_error(path, e)))?;
        }
        let source = |name: &str| self.shim.join(name).into_os_string();
        self.once("runtime.so", |path| {
            let flags = ["-O2", "-shared", "-pthread", "-lm", "-o"].map(OsString::from);
            self.clang(flags.into_iter().chain([path.into(), source("runtime.cpp")]))
        })?;
        self.once("metal.pch", |path| {
            // Without times, because caches of build directories don't keep them.
            let flags = ["-Xclang", "-fno-pch-timestamp", "-x", "c++-header", "-o"].map(OsString::from);
            self.clang(flags.into_iter().chain([path.into(), source("metal.h")]))
        })
    }

    /// Makes a file of the shim unless it is there. Another process may do the same: the file appears whole.
    fn once(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> Result<(), CompilerError>,
    ) -> Result<(), CompilerError> {
        let path = self.shim.join(name);
        if path.is_file() {
            return Ok(());
        }
        let made = self.shim.join(format!("new-{}-{name}", unique()));
        make(&made)?;
        fs::rename(&made, &path).map_err(|e| io_error(&path, e))
    }

    /// Compiles a kernel to a shared object, or finds it compiled.
    ///
    /// # Errors
    /// [`CompilerError`] with what clang says.
    pub(crate) fn compile(&self, cpp: &str) -> Result<PathBuf, CompilerError> {
        let key = digest(&cpp);
        let [source, object] = ["cpp", "so"].map(|ext| self.cache.join(format!("{key:016x}.{ext}")));
        // The text is kept, so that two kernels of one hash are told apart.
        if object.is_file() && fs::read_to_string(&source).is_ok_and(|kept| kept == cpp) {
            return Ok(object);
        }
        let id = unique();
        let [new_source, new_object] = ["cpp", "so"].map(|ext| self.cache.join(format!("new-{id}.{ext}")));
        fs::write(&new_source, cpp).map_err(|e| io_error(&new_source, e))?;
        let arguments =
            ["-include-pch".into(), self.shim.join("metal.pch").into_os_string(), "-shared".into()];
        let files =
            ["-nostartfiles".into(), new_source.clone().into(), "-o".into(), new_object.clone().into()];
        self.clang(arguments.into_iter().chain(files))?;
        fs::rename(&new_source, &source).map_err(|e| io_error(&source, e))?;
        fs::rename(&new_object, &object).map_err(|e| io_error(&object, e))?;
        Ok(object)
    }

    fn clang(&self, arguments: impl Iterator<Item = OsString>) -> Result<(), CompilerError> {
        let output = Command::new(&self.clang)
            .args(&self.flags)
            .args(arguments)
            .output()
            .map_err(|e| io_error(&self.clang, e))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        // A type that doesn't fit drags a page of candidates behind it.
        let first: Vec<_> = said.lines().filter(|l| l.contains("error")).take(8).collect();
        Err(CompilerError::Refused(if first.is_empty() { said.into_owned() } else { first.join("\n") }))
    }
}

fn flags(arithmetic: Arithmetic) -> Vec<String> {
    let mut flags: Vec<String> = [
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-w",
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-strict-aliasing",
        "-fsigned-char",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-Xclang",
        "-ffloat16-excess-precision=none",
        // Integers wrap in Metal.
        "-fwrapv",
    ]
    .map(str::to_owned)
    .into();
    flags.extend(instructions().iter().map(|s| (*s).to_owned()));
    let arithmetic: &[&str] = match arithmetic {
        Arithmetic::Strict => &["-ffp-contract=off"],
        // Not `-ffast-math`, with which the linker adds code that changes the whole process's rounding of denormals.
        Arithmetic::Fast => &[
            "-ffp-contract=fast",
            "-fassociative-math",
            "-freciprocal-math",
            "-fno-signed-zeros",
            "-ffinite-math-only",
            "-fapprox-func",
        ],
    };
    flags.extend(arithmetic.iter().map(|s| (*s).to_owned()));
    flags
}

/// Instructions without which half precision and fused sums are function calls.
#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<&'static str> {
    let mut all = Vec::new();
    if std::arch::is_x86_feature_detected!("f16c") {
        all.push("-mf16c");
    }
    if std::arch::is_x86_feature_detected!("fma") {
        all.push("-mfma");
    }
    all
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> Vec<&'static str> {
    Vec::new()
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A name that no other thread or process uses.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn io_error(path: &Path, source: io::Error) -> CompilerError {
    CompilerError::Io { path: path.display().to_string(), source }
}
