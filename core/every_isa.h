// SPDX-License-Identifier: Apache-2.0
// Loops compiled for every instruction set that processors of clusters have. All give the same bits: the project is
// compiled without contraction (-ffp-contract=off), so every operation is one IEEE operation per element.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
/// One copy of the function for each instruction set, chosen when the program is loaded. Vectorised where its source is
/// compiled with -O3.
#define PATHLINE_EVERY_ISA __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PATHLINE_EVERY_ISA  // the same loops in the compiler's own instruction set
#endif
