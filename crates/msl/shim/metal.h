// Stands for <metal_stdlib>: what naga's kernels use of it.
#pragma once
#include "runtime.h"
#include "vector.h"
#include "math.h"
#include "atomic.h"
#include "simd.h"
