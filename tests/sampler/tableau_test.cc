// SPDX-License-Identifier: Apache-2.0
// Every coefficient against the order conditions (Hairer, Norsett, Wanner I, II.2), which no wrong digit survives.
#include "sampler/tableau.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace pathline::sampler {
namespace {

using Real = long double;  // the coefficients are doubles; the sums add no rounding of their own

/// A rooted tree is the sorted list of its children: equal trees compare equal.
struct Tree {
  std::vector<Tree> children;
};

bool operator<(const Tree& a, const Tree& b) {
  return std::lexicographical_compare(a.children.begin(), a.children.end(), b.children.begin(), b.children.end());
}

int size_of(const Tree& tree) {
  int size = 1;
  for (const Tree& child : tree.children) size += size_of(child);
  return size;
}

Real density(const Tree& tree) {
  Real gamma = size_of(tree);
  for (const Tree& child : tree.children) gamma *= density(child);
  return gamma;
}

/// Per stage i: the product over children of sum_j a_ij weight_j(child).
std::vector<Real> weights(const Tree& tree, const Tableau& tableau) {
  std::vector<Real> product(tableau.b.size(), 1);
  for (const Tree& child : tree.children) {
    const std::vector<Real> inner = weights(child, tableau);
    for (std::size_t i = 0; i < product.size(); ++i) {
      Real sum = 0;
      for (std::size_t j = 0; j < tableau.a[i].size(); ++j) sum += tableau.a[i][j] * inner[j];
      product[i] *= sum;
    }
  }
  return product;
}

Real elementary_weight(const Tree& tree, const Tableau& tableau, const std::vector<double>& b) {
  const std::vector<Real> phi = weights(tree, tableau);
  Real sum = 0;
  for (std::size_t i = 0; i < b.size(); ++i) sum += b[i] * phi[i];
  return sum;
}

/// All trees of `size` vertices, each once: a leaf is hung on every vertex of the smaller ones.
void hang_leaves(const Tree& tree, const std::function<void(Tree)>& emit) {
  const auto emit_sorted = [&](Tree grown) {
    std::sort(grown.children.begin(), grown.children.end());
    emit(std::move(grown));
  };
  Tree at_root = tree;
  at_root.children.emplace_back();
  emit_sorted(std::move(at_root));
  for (std::size_t i = 0; i < tree.children.size(); ++i) {
    hang_leaves(tree.children[i], [&](Tree child) {
      Tree grown = tree;
      grown.children[i] = std::move(child);
      emit_sorted(std::move(grown));
    });
  }
}

std::vector<Tree> trees_of(int size) {
  std::set<Tree> trees = {Tree{}};
  for (int n = 2; n <= size; ++n) {
    std::set<Tree> larger;
    for (const Tree& tree : trees) hang_leaves(tree, [&](Tree grown) { larger.insert(std::move(grown)); });
    trees = std::move(larger);
  }
  return {trees.begin(), trees.end()};
}

/// Largest violation of a condition of `order`.
Real violation(const Tableau& tableau, const std::vector<double>& b, int order) {
  Real worst = 0;
  for (const Tree& tree : trees_of(order)) {
    worst = std::max(worst, std::abs(elementary_weight(tree, tableau, b) - 1 / density(tree)));
  }
  return worst;
}

/// The order to which `b` fulfils every condition to 1e-14, up to 9.
int order_of(const Tableau& tableau, const std::vector<double>& b) {
  int order = 0;
  while (order < 9 && violation(tableau, b, order + 1) < 1e-14L) ++order;
  return order;
}

std::vector<double> embedded(const Tableau& tableau) {
  std::vector<double> other = tableau.b;
  for (std::size_t i = 0; i < other.size(); ++i) other[i] -= tableau.e[i];
  return other;
}

TEST(Trees, AreAsManyAsTheTheorySays) {  // Hairer, Norsett, Wanner I, Table II.2.1
  const std::vector<std::size_t> counts = {1, 1, 2, 4, 9, 20, 48, 115};
  for (std::size_t n = 0; n < counts.size(); ++n) EXPECT_EQ(trees_of(static_cast<int>(n) + 1).size(), counts[n]);
}

TEST(Tableau, FulfilsTheConditionsOfItsOrderAndNoMore) {
  for (const Tableau& tableau : tableaux()) EXPECT_EQ(order_of(tableau, tableau.b), tableau.order) << tableau.name;
}

TEST(Tableau, ErrorEstimatesAreDistancesToSolutionsOfLowerOrder) {
  const std::map<std::string, int> orders = {{"bosh3", 2}, {"dopri5", 4}, {"tsit5", 4}, {"dopri8", 7}};
  for (const auto& [name, order] : orders) {
    const Tableau& tableau = find_tableau(name);
    EXPECT_EQ(order_of(tableau, embedded(tableau)), order) << name;
  }
}

TEST(Tableau, DenseOutputFulfilsTheConditionsOfItsOrderAtEveryShareOfAStep) {
  const std::map<std::string, int> orders = {
      {"bosh3", 3}, {"dopri5", 4}, {"dopri5-shampine", 4}, {"tsit5", 4}, {"dopri8", 3}};
  for (const auto& [name, order] : orders) {
    const Tableau& tableau = find_tableau(name);
    for (const double theta : {0.1, 1.0 / 3, 0.5, 0.75, 0.9}) {
      const std::vector<double> dense = dense_weights(tableau, theta, 1.0);
      std::vector<double> b;  // y(theta) = y + dt sum_i b_i k_i, with y' put in
      for (std::size_t i = 0; i < tableau.b.size(); ++i) b.push_back(dense[1] * tableau.b[i] + dense[i + 2]);
      EXPECT_NEAR(dense[0] + dense[1], 1, 1e-15);
      for (int size = 1; size <= order; ++size) {
        for (const Tree& tree : trees_of(size)) {
          const auto exact = static_cast<double>(std::pow(static_cast<Real>(theta), size) / density(tree));
          EXPECT_NEAR(static_cast<double>(elementary_weight(tree, tableau, b)), exact, 1e-14) << name << " " << theta;
        }
      }
    }
  }
}

TEST(Tableau, NodesAreRowSums) {
  for (const Tableau& tableau : tableaux()) {
    const std::string& name = tableau.name;
    ASSERT_EQ(tableau.a.size(), tableau.b.size());
    for (std::size_t i = 0; i < tableau.a.size(); ++i) {
      ASSERT_EQ(tableau.a[i].size(), i) << name;
      double sum = 0;
      for (const double a : tableau.a[i]) sum += a;
      EXPECT_NEAR(sum, tableau.c[i], 1e-14) << name << " row " << i;
    }
  }
}

TEST(Tableau, Dopri5EstimatesItsErrorAsSciPyAndMatlabDo) {
  EXPECT_DOUBLE_EQ(find_tableau("dopri5").e.back(), -1.0 / 40);
}

TEST(Tableau, ShampinesErrorEstimateIsTorchdiffeqs) {
  // c_error of torchdiffeq's dopri5.py, as it is written there.
  const std::vector<double> c_error = {35.0 / 384 - 1951.0 / 21600,
                                       0,
                                       500.0 / 1113 - 22642.0 / 50085,
                                       125.0 / 192 - 451.0 / 720,
                                       -2187.0 / 6784 - -12231.0 / 42400,
                                       11.0 / 84 - 649.0 / 6300,
                                       -1.0 / 60};
  const Tableau& shampine = find_tableau("dopri5-shampine");
  for (std::size_t i = 0; i < c_error.size(); ++i) EXPECT_NEAR(shampine.e[i], c_error[i], 1e-15) << i;
}

TEST(Tableau, MethodsThatHandTheirLastSlopeOnAreReadOffTheCoefficients) {
  const std::set<std::string> expected = {"bosh3", "dopri5", "dopri5-shampine", "tsit5", "dopri8"};
  for (const Tableau& tableau : tableaux()) EXPECT_EQ(tableau.fsal(), expected.contains(tableau.name)) << tableau.name;
}

}  // namespace
}  // namespace pathline::sampler
