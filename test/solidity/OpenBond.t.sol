// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {AccessBond} from "../../contracts/AccessBond.sol";
import {IAccessBond} from "../../contracts/interfaces/IAccessBond.sol";
import {BondFixture} from "./BondFixture.sol";
import {FeeToken} from "./mocks/FeeToken.sol";
import {ReentrantToken} from "./mocks/ReentrantToken.sol";

contract OpenBondTest is BondFixture {
    bytes32 private constant PERMIT_TYPE = keccak256(
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    );

    function testFuzz_takes_the_deposit_and_gives_a_bond(uint256 amount, uint256 lockSeconds) external {
        uint128 deposit = boundAmount(amount);
        uint40 lock = uint40(bound(lockSeconds, 0, FOUR_YEARS));
        uint256 before = codex.balanceOf(alice);
        vm.expectEmit(address(bonds));
        emit IAccessBond.BondOpened(1, alice, 0, deposit, uint40(time) + lock);
        uint256 bond = open(alice, deposit, lock);

        IAccessBond.Bond memory terms = bonds.bondOf(bond);
        vm.assertEq(bond, 1);
        vm.assertEq(terms.owner, alice);
        vm.assertEq(terms.deposit, deposit);
        vm.assertEq(terms.lockEnd, time + lock);
        vm.assertEq(terms.thawing + terms.thawEnd + terms.epoch, 0);
        vm.assertEq(bonds.ownerOf(bond), alice);
        vm.assertEq(bonds.totalDeposits(), deposit);
        vm.assertEq(before - codex.balanceOf(alice), deposit);
        vm.assertEq(codex.balanceOf(address(bonds)), deposit);
    }

    function test_refuses_a_zero_deposit() external {
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.AmountZero.selector));
        open(alice, 0, 0);
    }

    function testFuzz_refuses_a_lock_over_four_years(uint40 lockSeconds) external {
        uint40 lock = uint40(bound(lockSeconds, FOUR_YEARS + 1, type(uint40).max - START));
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessBond.LockInvalid.selector,
                uint40(0),
                uint40(time) + lock,
                uint40(time) + FOUR_YEARS
            )
        );
        open(alice, ONE, lock);
    }

    function test_an_unknown_bond_has_no_terms() external {
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.BondUnknown.selector, 1));
        bonds.bondOf(1);
        vm.assertEq(bonds.weightOf(1), 0);
    }

    function test_one_codex_earns_a_thousand_calls_and_ten_gibibytes() external {
        (uint256 calls, uint256 size) = quota(open(alice, ONE, 0));
        vm.assertEq(calls, 1_000);
        vm.assertEq(size, 10 * 2 ** 30);
    }

    function test_the_longest_lock_earns_four_times_the_quota() external {
        (uint256 calls, uint256 size) = quota(open(alice, ONE, FOUR_YEARS));
        vm.assertEq(calls, 4_000);
        vm.assertEq(size, 40 * 2 ** 30);
    }

    function test_a_pool_must_be_defined() external {
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.PoolUnknown.selector, bytes32("nowhere")));
        bonds.openBond(ONE, 0, "nowhere");
    }

    function testFuzz_a_pool_holds_what_its_owner_put_in(bytes32 salt, bytes32 asset, bytes32 other) external {
        vm.assume(asset != other);
        vm.prank(bob);
        bytes32 pool = bonds.definePool(salt);
        vm.assertEq(pool, keccak256(abi.encode(bob, salt)));
        vm.prank(bob);
        bonds.setPoolAsset(pool, asset, true);
        vm.prank(alice);
        uint256 bond = bonds.openBond(ONE, 0, pool);

        vm.assertEq(bonds.bondOf(bond).pool, pool);
        vm.assertTrue(bonds.poolHolds(pool, asset));
        vm.assertFalse(bonds.poolHolds(pool, other));
        vm.assertTrue(bonds.poolHolds(0, other));

        vm.prank(bob);
        bonds.setPoolAsset(pool, asset, false);
        vm.assertFalse(bonds.poolHolds(pool, asset));
    }

    function test_a_pool_is_defined_once_and_changed_by_its_owner_only() external {
        vm.prank(bob);
        bytes32 pool = bonds.definePool("mine");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.PoolExists.selector, pool));
        bonds.definePool("mine");
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.NotPoolOwner.selector, pool, eve));
        bonds.setPoolAsset(pool, "asset", true);
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.NotPoolOwner.selector, bytes32(0), eve));
        bonds.setPoolAsset(0, "asset", false);
    }

    function testFuzz_a_permit_stands_in_for_an_approval(uint256 amount) external {
        uint128 deposit = boundAmount(amount);
        (uint8 v, bytes32 r, bytes32 s) = _permit(deposit, time);
        vm.prank(alice);
        uint256 bond = bonds.openBondWithPermit(deposit, 0, 0, time, v, r, s);
        vm.assertEq(depositOf(bond), deposit);
        vm.assertEq(codex.allowance(alice, address(bonds)), 0);
    }

    function test_exploit_a_permit_used_by_someone_else_first_does_no_harm() external {
        (uint8 v, bytes32 r, bytes32 s) = _permit(ONE, time);
        vm.prank(eve);
        codex.permit(alice, address(bonds), ONE, time, v, r, s);
        vm.prank(alice);
        uint256 bond = bonds.openBondWithPermit(ONE, 0, 0, time, v, r, s);
        vm.assertEq(depositOf(bond), ONE);
    }

    function test_exploit_a_permit_for_less_or_by_another_takes_nothing() external {
        (uint8 v, bytes32 r, bytes32 s) = _permit(ONE, time);
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.AllowanceShort.selector, 0, 2 * ONE));
        bonds.openBondWithPermit(2 * ONE, 0, 0, time, v, r, s);
    }

    function test_exploit_a_fee_on_transfer_token_is_refused() external {
        FeeToken token = new FeeToken(alice);
        AccessBond other = new AccessBond(token, THAW, address(this));
        vm.startPrank(alice);
        token.approve(address(other), 100);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.AmountMismatch.selector, 100, 99));
        other.openBond(100, 0, 0);
        vm.stopPrank();
    }

    function test_exploit_a_reentrant_token_cannot_deposit_twice_or_withdraw_meanwhile() external {
        ReentrantToken token = new ReentrantToken(alice);
        AccessBond other = new AccessBond(token, THAW, address(this));
        bytes[3] memory calls = [
            abi.encodeCall(IAccessBond.openBond, (1, 0, 0)),
            abi.encodeCall(IAccessBond.topUp, (1, 1)),
            abi.encodeCall(IAccessBond.withdraw, (1, alice))
        ];
        vm.startPrank(alice);
        token.approve(address(other), type(uint256).max);
        for (uint256 i = 0; i < 3; ++i) {
            token.arm(address(other), calls[i]);
            other.openBond(100, 0, 0);
            vm.assertFalse(token.succeeded());
            vm.assertEq(
                bytes32(token.answer()),
                bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
            );
        }
        vm.stopPrank();
        vm.assertEq(other.totalDeposits(), token.balanceOf(address(other)));
    }

    function test_a_gift_of_tokens_is_nobodys_deposit() external {
        open(alice, ONE, 0);
        vm.prank(bob);
        codex.transfer(address(bonds), ONE);
        vm.assertEq(bonds.totalDeposits(), ONE);
    }

    function _permit(uint128 amount, uint256 deadline) private returns (uint8 v, bytes32 r, bytes32 s) {
        vm.prank(alice);
        codex.approve(address(bonds), 0);
        bytes32 hash = keccak256(
            abi.encode(PERMIT_TYPE, alice, address(bonds), uint256(amount), codex.nonces(alice), deadline)
        );
        return vm.sign(ALICE_KEY, keccak256(abi.encodePacked("\x19\x01", codex.DOMAIN_SEPARATOR(), hash)));
    }
}
