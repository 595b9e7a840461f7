// SPDX-License-Identifier: Apache-2.0
// Nothing: a target that parses headers for others must have a source (PathlinePrecompiled.cmake).
