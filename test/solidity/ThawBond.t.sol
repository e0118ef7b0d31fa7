// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {AccessBond} from "../../contracts/AccessBond.sol";
import {IAccessBond} from "../../contracts/interfaces/IAccessBond.sol";
import {BondFixture} from "./BondFixture.sol";
import {ReentrantToken} from "./mocks/ReentrantToken.sol";
import {SetDebts} from "./mocks/SetDebts.sol";

/// @notice requestThaw, cancelThaw, withdraw and what debts do to them
contract ThawBondTest is BondFixture {
    function testFuzz_pays_what_thawed_after_the_delay(uint256 amount, uint256 part) external {
        uint128 deposit = boundAmount(amount);
        uint128 asked = uint128(bound(part, 1, deposit));
        uint256 bond = open(alice, deposit, 0);
        thaw(bond, asked);
        pass(THAW);
        vm.prank(alice);
        uint128 paid = bonds.withdraw(bond, bob);
        IAccessBond.Bond memory terms = bonds.bondOf(bond);
        vm.assertEq(paid, asked);
        vm.assertEq(codex.balanceOf(bob), uint256(type(uint96).max) + asked);
        vm.assertEq(terms.deposit, deposit - asked);
        vm.assertEq(terms.thawing + terms.thawEnd, 0);
        vm.assertEq(bonds.totalDeposits(), deposit - asked);
    }

    function testFuzz_nothing_is_paid_before_the_delay(uint256 waited) external {
        uint256 bond = open(alice, ONE, 0);
        thaw(bond, ONE);
        pass(bound(waited, 0, THAW - 1));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.NotThawed.selector, uint40(START) + THAW));
        bonds.withdraw(bond, alice);
    }

    function testFuzz_nothing_thaws_while_locked(uint256 lockSeconds, uint256 waited) external {
        uint256 lock = bound(lockSeconds, 1, FOUR_YEARS);
        uint256 bond = open(alice, ONE, uint40(lock));
        pass(bound(waited, 0, lock - 1));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.Locked.selector, uint40(START + lock)));
        bonds.requestThaw(bond, ONE);
        vm.warp(START + lock);
        thaw(bond, ONE);
    }

    function test_what_thaws_counts_for_no_quota_and_comes_back_when_cancelled() external {
        uint256 bond = open(alice, 4 * ONE, 0);
        thaw(bond, 3 * ONE);
        (uint256 calls, ) = quota(bond);
        vm.assertEq(calls, 1_000);
        vm.prank(alice);
        bonds.cancelThaw(bond);
        (calls, ) = quota(bond);
        vm.assertEq(calls, 4_000);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.NotThawed.selector, uint40(0)));
        bonds.withdraw(bond, alice);
    }

    function test_thawing_more_starts_the_delay_anew() external {
        uint256 bond = open(alice, 2 * ONE, 0);
        thaw(bond, ONE);
        pass(THAW - 1);
        thaw(bond, ONE);
        vm.assertEq(bonds.bondOf(bond).thawEnd, time + THAW);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.ThawExceeds.selector, 0, 1));
        bonds.requestThaw(bond, 1);
    }

    function test_a_lock_does_not_hold_back_what_thaws_already() external {
        uint256 bond = open(alice, 2 * ONE, 0);
        thaw(bond, ONE);
        vm.prank(alice);
        bonds.extendLock(bond, uint40(time) + FOUR_YEARS);
        pass(THAW);
        vm.prank(alice);
        vm.assertEq(bonds.withdraw(bond, alice), ONE);
        (uint256 calls, ) = quota(bond);
        vm.assertEq(calls, 4_000);
    }

    function test_zero_amounts_are_refused() external {
        uint256 bond = open(alice, ONE, 0);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.AmountZero.selector));
        bonds.requestThaw(bond, 0);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.AmountZero.selector));
        bonds.cancelThaw(bond);
        vm.stopPrank();
    }

    function test_exploit_only_the_owner_takes_a_deposit_back() external {
        uint256 bond = open(alice, ONE, 0);
        vm.prank(alice);
        bonds.setApprovalForAll(eve, true);
        vm.startPrank(eve);
        bytes memory refusal = abi.encodeWithSelector(IAccessBond.NotBondOwner.selector, bond, eve);
        vm.expectRevert(refusal);
        bonds.requestThaw(bond, ONE);
        vm.expectRevert(refusal);
        bonds.cancelThaw(bond);
        vm.expectRevert(refusal);
        bonds.withdraw(bond, eve);
        vm.stopPrank();
    }

    function test_exploit_a_reentrant_token_is_paid_once() external {
        ReentrantToken token = new ReentrantToken(alice);
        AccessBond other = new AccessBond(token, THAW, address(this));
        vm.startPrank(alice);
        token.approve(address(other), type(uint256).max);
        other.openBond(100, 0, 0);
        other.openBond(100, 0, 0);
        other.requestThaw(1, 100);
        other.transferFrom(alice, address(token), 2);
        token.arm(address(other), abi.encodeCall(IAccessBond.withdraw, (1, alice)));
        pass(THAW);
        other.withdraw(1, alice);
        vm.stopPrank();
        vm.assertFalse(token.succeeded());
        vm.assertEq(token.balanceOf(address(other)), 100);
        vm.assertEq(other.totalDeposits(), 100);
    }

    function testFuzz_debt_is_held_back(uint256 amount, uint256 part, uint256 owed) external {
        uint128 deposit = boundAmount(amount);
        uint128 asked = uint128(bound(part, 1, deposit));
        uint256 debt = bound(owed, 0, uint256(deposit) * 2);
        SetDebts debts = bindDebts();
        uint256 bond = open(alice, deposit, 0);
        thaw(bond, asked);
        debts.set(bond, debt);
        pass(THAW);
        vm.prank(alice);
        if (debt >= deposit) {
            vm.expectRevert(abi.encodeWithSelector(IAccessBond.DebtOutstanding.selector, debt));
            bonds.withdraw(bond, alice);
            return;
        }
        uint128 paid = bonds.withdraw(bond, alice);
        vm.assertEq(paid, asked < deposit - debt ? asked : deposit - debt);
        vm.assertGe(depositOf(bond), debt);

        debts.set(bond, 0);
        if (paid == asked) return;
        vm.prank(alice);
        vm.assertEq(bonds.withdraw(bond, alice), asked - paid);
    }

    function test_a_bond_with_debt_is_not_transferred() external {
        SetDebts debts = bindDebts();
        uint256 bond = open(alice, ONE, 0);
        debts.set(bond, 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.DebtOutstanding.selector, 1));
        bonds.transferFrom(alice, bob, bond);
    }

    function test_exploit_a_new_debt_source_lets_everyone_leave_first() external {
        uint256 bond = open(alice, ONE, 0);
        SetDebts debts = new SetDebts();
        debts.set(bond, ONE);
        bonds.setDebtSource(address(debts));
        vm.assertEq(bonds.debtOf(bond), 0);
        thaw(bond, ONE);
        pass(THAW);
        vm.prank(alice);
        vm.assertEq(bonds.withdraw(bond, alice), ONE);
        pass(THAW);
        vm.assertEq(bonds.debtOf(bond), ONE);
    }

    function test_the_debt_source_is_a_contract_named_once_by_the_owner() external {
        SetDebts debts = new SetDebts();
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, eve));
        bonds.setDebtSource(address(debts));
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.DebtSourceInvalid.selector, bob));
        bonds.setDebtSource(bob);
        bonds.setDebtSource(address(debts));
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.DebtSourceFixed.selector, address(debts)));
        bonds.setDebtSource(address(debts));
    }

    function thaw(uint256 bond, uint128 amount) private {
        vm.prank(alice);
        bonds.requestThaw(bond, amount);
    }

    function bindDebts() private returns (SetDebts debts) {
        debts = new SetDebts();
        bonds.setDebtSource(address(debts));
        pass(2 * THAW);
    }
}
