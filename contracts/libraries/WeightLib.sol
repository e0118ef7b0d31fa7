// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Weights that need no keeper
/// @notice A bond weighs its free deposit plus a boost for the time it is locked. Gains count from the next epoch, so a
/// deposit made for one moment earns nothing; losses count at once. The boost ends by itself with its last full epoch.
library WeightLib {
    using SafeCast for uint256;
    using SafeCast for int256;

    uint256 internal constant EPOCH_SECONDS = 7 days;
    uint256 internal constant LOCK_SECONDS_MAX = 4 * 365 days;
    /// @dev Four times the deposit in all for the longest lock.
    uint256 private constant BOOST_MAX = 3;

    /// @notice Before epoch `from` a bond weighs `current`; afterwards its base, plus the boost before epoch `boostEnd`
    struct Schedule {
        uint128 base;
        uint128 boost;
        uint128 current;
        uint32 from;
        uint32 boostEnd;
    }

    /// @dev Slot 1: weight, epoch. `changeAt` holds what the weight gains as an epoch begins.
    struct Total {
        uint224 weight;
        uint32 epoch;
        mapping(uint32 epoch => int256) changeAt;
    }

    function epochAt(uint256 time) internal pure returns (uint32) {
        return uint32(time / EPOCH_SECONDS);
    }

    /// @notice The boost that `base` earns for being locked until `lockEnd`, rounded down
    function boostDown(uint128 base, uint256 lockEnd, uint256 time) internal pure returns (uint128) {
        if (lockEnd <= time) return 0;
        return ((uint256(base) * BOOST_MAX * (lockEnd - time)) / LOCK_SECONDS_MAX).toUint128();
    }

    /// @notice The shortest lock that earns `boost`, rounded up
    function lockSecondsUp(uint128 base, uint128 boost) internal pure returns (uint256) {
        return Math.ceilDiv(uint256(boost) * LOCK_SECONDS_MAX, uint256(base) * BOOST_MAX);
    }

    /// @notice The boost as long as it runs, whether it counts already or from the next epoch on
    function runningBoost(Schedule memory self, uint32 epoch) internal pure returns (uint128) {
        return epoch < self.boostEnd ? self.boost : 0;
    }

    /// @notice The boost after `added` joins the base until `lockEnd`; what was earned before is kept
    function boostWith(
        Schedule memory self,
        uint128 added,
        uint256 lockEnd,
        uint256 time
    ) internal pure returns (uint128) {
        return runningBoost(self, epochAt(time)) + boostDown(added, lockEnd, time);
    }

    function weightAt(Schedule memory self, uint32 epoch) internal pure returns (uint256) {
        return epoch < self.from ? self.current : uint256(self.base) + runningBoost(self, epoch);
    }

    /// @notice The schedule after a change: what it gains counts from the next epoch, what it loses at once
    function changed(
        Schedule memory self,
        uint128 base,
        uint128 boost,
        uint32 boostEnd,
        uint32 epoch
    ) internal pure returns (Schedule memory) {
        uint256 reached = uint256(base) + (epoch < boostEnd ? boost : 0);
        uint128 current = Math.min(weightAt(self, epoch), reached).toUint128();
        return Schedule({base: base, boost: boost, current: current, from: epoch + 1, boostEnd: boostEnd});
    }

    /// @notice Brings the total up to an epoch; one step for each week since the last change, which nobody can add to
    function roll(Total storage self, uint32 epoch) internal {
        self.weight = peek(self, epoch).toUint224();
        self.epoch = epoch;
    }

    function peek(Total storage self, uint32 epoch) internal view returns (uint256) {
        int256 weight = int256(uint256(self.weight));
        for (uint32 next = self.epoch; next < epoch;) {
            ++next;
            weight += self.changeAt[next];
        }
        return weight.toUint256();
    }

    /// @notice Replaces one bond's schedule in the total, which must have been rolled to `epoch`
    function replace(Total storage self, Schedule memory before, Schedule memory next, uint32 epoch) internal {
        self.weight = (self.weight + weightAt(next, epoch) - weightAt(before, epoch)).toUint224();
        _plan(self, before, epoch, -1);
        _plan(self, next, epoch, 1);
    }

    function _plan(Total storage self, Schedule memory schedule, uint32 epoch, int256 sign) private {
        if (schedule.from > epoch) {
            int256 gain = int256(weightAt(schedule, schedule.from)) - int256(uint256(schedule.current));
            if (gain != 0) self.changeAt[schedule.from] += sign * gain;
        }
        if (schedule.boost != 0 && schedule.boostEnd > epoch && schedule.boostEnd > schedule.from) {
            self.changeAt[schedule.boostEnd] -= sign * int256(uint256(schedule.boost));
        }
    }
}
