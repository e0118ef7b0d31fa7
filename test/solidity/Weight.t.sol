// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BondFixture} from "./BondFixture.sol";

contract WeightTest is BondFixture {
    function testFuzz_a_deposit_weighs_from_the_next_epoch_on(uint256 amount) external {
        uint128 deposit = boundAmount(amount);
        uint256 bond = open(alice, deposit, 0);
        vm.assertEq(bonds.weightOf(bond), 0);
        vm.assertEq(bonds.totalWeight(), 0);
        nextEpoch();
        vm.assertEq(bonds.weightOf(bond), deposit);
        vm.assertEq(bonds.totalWeight(), deposit);
    }

    function test_exploit_a_deposit_made_for_one_moment_weighs_nothing() external {
        uint256 bond = open(alice, 1e24, 0);
        pass(4 days - 1);
        vm.prank(alice);
        bonds.requestThaw(bond, 1e24);
        vm.assertEq(bonds.weightOf(bond), 0);
        nextEpoch();
        vm.assertEq(bonds.weightOf(bond), 0);
        vm.assertEq(bonds.totalWeight(), 0);
    }

    function testFuzz_a_boost_ends_by_itself_with_its_last_full_epoch(uint256 lockSeconds) external {
        uint256 lock = bound(lockSeconds, 0, FOUR_YEARS);
        uint256 bond = open(alice, ONE, uint40(lock));
        uint256 boosted = uint256(ONE) + (3 * uint256(ONE) * lock) / FOUR_YEARS;
        uint256 lastFull = ((START + lock) / WEEK) * WEEK;
        nextEpoch();
        if (time < lastFull) {
            vm.assertEq(bonds.weightOf(bond), boosted);
            vm.warp(lastFull - 1);
            vm.assertEq(bonds.weightOf(bond), boosted);
            vm.assertEq(bonds.totalWeight(), boosted);
            vm.warp(lastFull);
        }
        vm.assertEq(bonds.weightOf(bond), ONE);
        vm.assertEq(bonds.totalWeight(), ONE);
    }

    function test_losses_count_at_once() external {
        uint256 bond = open(alice, 2 * ONE, 0);
        nextEpoch();
        vm.prank(alice);
        bonds.requestThaw(bond, ONE);
        vm.assertEq(bonds.weightOf(bond), ONE);
        vm.prank(alice);
        bonds.cancelThaw(bond);
        vm.assertEq(bonds.weightOf(bond), ONE);
        nextEpoch();
        vm.assertEq(bonds.weightOf(bond), 2 * ONE);
        vm.assertEq(bonds.totalWeight(), 2 * ONE);
    }

    function testFuzz_the_total_is_the_sum_however_long_nobody_calls(uint256 a, uint256 b, uint256 idle) external {
        uint256 first = open(alice, boundAmount(a), uint40(bound(a >> 128, 0, FOUR_YEARS)));
        pass(bound(idle, 0, 60 * WEEK));
        uint256 second = open(bob, boundAmount(b), uint40(bound(b >> 128, 0, FOUR_YEARS)));
        pass(bound(idle >> 128, 0, 300 * WEEK));
        vm.assertEq(bonds.totalWeight(), bonds.weightOf(first) + bonds.weightOf(second));
    }
}
