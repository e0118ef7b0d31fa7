// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessBond} from "../../contracts/interfaces/IAccessBond.sol";
import {BondFixture} from "./BondFixture.sol";

/// @notice topUp and extendLock
contract GrowBondTest is BondFixture {
    function testFuzz_anyone_may_top_up(uint256 amount, uint256 more) external {
        uint256 bond = open(alice, boundAmount(amount), 0);
        (uint256 calls, ) = quota(bond);
        vm.prank(bob);
        bonds.topUp(bond, boundAmount(more));
        (uint256 callsAfter, ) = quota(bond);
        vm.assertEq(depositOf(bond), uint256(boundAmount(amount)) + boundAmount(more));
        vm.assertEq(bonds.ownerOf(bond), alice);
        vm.assertGe(callsAfter, calls);
    }

    function test_an_unknown_bond_cannot_be_topped_up() external {
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.BondUnknown.selector, 9));
        bonds.topUp(9, ONE);
    }

    function testFuzz_a_top_up_is_boosted_for_the_time_that_remains(uint256 waited) external {
        uint256 bond = open(alice, ONE, FOUR_YEARS);
        pass(bound(waited, 0, FOUR_YEARS - 2 * WEEK));
        uint256 remaining = lockOf(bond) - time;
        vm.prank(bob);
        bonds.topUp(bond, ONE);
        nextEpoch();
        vm.assertEq(bonds.weightOf(bond), 5 * uint256(ONE) + (3 * uint256(ONE) * remaining) / FOUR_YEARS);
    }

    function testFuzz_extending_lowers_nothing(uint256 lockSeconds, uint256 waited, uint256 added) external {
        uint256 bond = open(alice, ONE, uint40(bound(lockSeconds, 0, FOUR_YEARS)));
        pass(bound(waited, 0, FOUR_YEARS));
        uint40 end = lockOf(bond);
        uint256 weight = bonds.weightOf(bond);
        (uint256 calls, ) = quota(bond);
        uint40 wanted = end + uint40(bound(added, 1, FOUR_YEARS));

        vm.prank(alice);
        try bonds.extendLock(bond, wanted) {
            vm.assertEq(lockOf(bond), wanted);
        } catch {
            vm.assertEq(lockOf(bond), end);
        }
        (uint256 callsAfter, ) = quota(bond);
        vm.assertGe(bonds.weightOf(bond), weight);
        vm.assertGe(callsAfter, calls);
    }

    function testFuzz_a_lock_ends_later_than_before_and_within_four_years(uint40 newEnd) external {
        uint256 bond = open(alice, ONE, 30 days);
        uint40 end = lockOf(bond);
        vm.assume(newEnd <= end || newEnd > time + FOUR_YEARS);
        vm.prank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessBond.LockInvalid.selector, end, newEnd, uint40(time) + FOUR_YEARS)
        );
        bonds.extendLock(bond, newEnd);
    }

    /// @dev Flat boosts invite this: lock long once, then prolong the top boost by a week each week.
    function test_exploit_a_short_extension_cannot_prolong_a_high_boost() external {
        uint256 bond = open(alice, ONE, FOUR_YEARS);
        pass(3 * 365 days);
        uint40 soon = lockOf(bond) + 7 days;
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.ExtensionShort.selector, uint40(time) + FOUR_YEARS, soon));
        bonds.extendLock(bond, soon);
        vm.prank(alice);
        bonds.extendLock(bond, uint40(time) + FOUR_YEARS);
        vm.assertEq(bonds.weightOf(bond), 4 * uint256(ONE));
    }

    function testFuzz_the_earliest_extension_is_taken(uint256 lockSeconds, uint256 waited) external {
        uint256 lock = bound(lockSeconds, 4 * WEEK, FOUR_YEARS);
        uint256 bond = open(alice, ONE, uint40(lock));
        pass(bound(waited, WEEK, lock - 2 * WEEK));
        uint256 boost = (3 * uint256(ONE) * lock) / FOUR_YEARS;
        uint256 shortest = (boost * FOUR_YEARS + 3 * uint256(ONE) - 1) / (3 * uint256(ONE));
        uint40 earliest = uint40(time + shortest);
        uint256 weight = bonds.weightOf(bond);
        vm.prank(alice);
        bonds.extendLock(bond, earliest);
        nextEpoch();
        vm.assertGe(bonds.weightOf(bond), weight);
    }

    function test_exploit_nobody_else_can_extend_a_lock() external {
        uint256 bond = open(alice, ONE, 0);
        vm.prank(alice);
        bonds.approve(eve, bond);
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.NotBondOwner.selector, bond, eve));
        bonds.extendLock(bond, uint40(time) + 1 days);
    }
}
