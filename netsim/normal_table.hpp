// The normal distribution cut at +-4 standard deviations, by a table made of additions and
// multiplications only: the same bits on every machine, which libm does not promise.
#pragma once

namespace netsim {

constexpr double kNormalCut = 4;
double normal_quantile(double u);  // u in [0, 1]; within 1e-5 of the exact (cut) quantile
double normal_cdf(double z);       // 0 below -4, 1 above 4; within 1e-6

}  // namespace netsim
