// SPDX-License-Identifier: Apache-2.0
// Every coefficient against the order conditions (Hairer, Norsett, Wanner I, II.2), which no wrong digit survives.
#include "sampler/tableau.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace pathline::sampler {
namespace {

/// A rooted tree is the list of its children.
struct Tree {
  std::vector<Tree> children;
};

int size_of(const Tree& tree) {
  int size = 1;
  for (const Tree& child : tree.children) size += size_of(child);
  return size;
}

double density(const Tree& tree) {
  double gamma = size_of(tree);
  for (const Tree& child : tree.children) gamma *= density(child);
  return gamma;
}

/// Per stage i: the product over children of sum_j a_ij weight_j(child).
std::vector<double> weights(const Tree& tree, const Tableau& tableau) {
  std::vector<double> product(tableau.b.size(), 1.0);
  for (const Tree& child : tree.children) {
    const std::vector<double> inner = weights(child, tableau);
    for (std::size_t i = 0; i < product.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < tableau.a[i].size(); ++j) sum += tableau.a[i][j] * inner[j];
      product[i] *= sum;
    }
  }
  return product;
}

double elementary_weight(const Tree& tree, const Tableau& tableau, const std::vector<double>& b) {
  const std::vector<double> phi = weights(tree, tableau);
  double sum = 0;
  for (std::size_t i = 0; i < b.size(); ++i) sum += b[i] * phi[i];
  return sum;
}

/// Trees of `size` vertices; some appear more than once, which costs nothing.
std::vector<Tree> trees_of(int size) {
  if (size == 1) return {Tree{}};
  std::vector<Tree> trees;
  for (int first = 1; first < size; ++first) {  // hang a tree of `first` vertices on a root that has the others
    for (const Tree& child : trees_of(first)) {
      for (Tree tree : trees_of(size - first)) {
        tree.children.push_back(child);
        trees.push_back(tree);
      }
    }
  }
  return trees;
}

/// The order to which `b` fulfils every condition, up to 6.
int order_of(const Tableau& tableau, const std::vector<double>& b) {
  for (int size = 1; size <= 6; ++size) {
    for (const Tree& tree : trees_of(size)) {
      if (std::abs(elementary_weight(tree, tableau, b) - 1 / density(tree)) > 1e-13) return size - 1;
    }
  }
  return 6;
}

TEST(Tableau, FulfilsTheConditionsOfItsOrderAndNoMore) {
  for (const std::string& name : solver_names()) {
    const Tableau& tableau = find_tableau(name);
    EXPECT_EQ(order_of(tableau, tableau.b), tableau.order) << name;
  }
}

TEST(Tableau, NodesAreRowSums) {
  for (const std::string& name : solver_names()) {
    const Tableau& tableau = find_tableau(name);
    ASSERT_EQ(tableau.a.size(), tableau.b.size());
    for (std::size_t i = 0; i < tableau.a.size(); ++i) {
      ASSERT_EQ(tableau.a[i].size(), i) << name;
      double sum = 0;
      for (const double a : tableau.a[i]) sum += a;
      EXPECT_NEAR(sum, tableau.c[i], 1e-14) << name << " row " << i;
    }
  }
}

TEST(Tableau, StandardErrorEstimateIsADistanceToAFourthOrderSolution) {
  const Tableau& tableau = find_tableau("dopri5");
  std::vector<double> other = tableau.b;
  for (std::size_t i = 0; i < other.size(); ++i) other[i] -= tableau.e[i];
  EXPECT_EQ(order_of(tableau, other), 4);
  EXPECT_DOUBLE_EQ(tableau.e.back(), -1.0 / 40);
}

TEST(Tableau, ShampinesErrorEstimateIsTorchdiffeqs) {
  // c_error of torchdiffeq's dopri5.py, as it is written there.
  const std::vector<double> c_error = {35.0 / 384 - 1951.0 / 21600,     0, 500.0 / 1113 - 22642.0 / 50085,
                                       125.0 / 192 - 451.0 / 720,       -2187.0 / 6784 - -12231.0 / 42400,
                                       11.0 / 84 - 649.0 / 6300,        -1.0 / 60};
  const Tableau& shampine = find_tableau("dopri5-shampine");
  for (std::size_t i = 0; i < c_error.size(); ++i) EXPECT_NEAR(shampine.e[i], c_error[i], 1e-15) << i;
}

TEST(Tableau, OnlyDormandPrinceHandsItsLastSlopeOn) {
  for (const std::string& name : solver_names()) {
    EXPECT_EQ(find_tableau(name).fsal(), name.starts_with("dopri5")) << name;
  }
}

TEST(Tableau, UnknownNameIsAnsweredWithTheNearest) {
  try {
    find_tableau("midpont");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("Did you mean \"midpoint\""), std::string::npos) << error.what();
  }
}

TEST(Tableau, NamesOfOtherLibrariesAreAcceptedWithANote) {
  EXPECT_EQ(find_tableau("heun2").name, "heun");
  EXPECT_EQ(find_tableau("dopri5-torchdiffeq").name, "dopri5-shampine");
  EXPECT_NE(solver_note("heun2"), "");
  EXPECT_NE(solver_note("rk4"), "");  // another method than torchdiffeq's
  EXPECT_EQ(solver_note("dopri5"), "");
}

}  // namespace
}  // namespace pathline::sampler
