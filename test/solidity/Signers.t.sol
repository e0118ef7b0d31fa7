// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessBond} from "../../contracts/interfaces/IAccessBond.sol";
import {BondFixture} from "./BondFixture.sol";

/// @notice setSigner, bumpEpoch and transfers
contract SignersTest is BondFixture {
    uint256 private bond;

    function setUp() public override {
        super.setUp();
        bond = open(alice, ONE, 0);
    }

    function testFuzz_a_signer_comes_once_and_goes(address signer) external {
        vm.assume(signer != address(0));
        vm.startPrank(alice);
        bonds.setSigner(bond, signer, true);
        bonds.setSigner(bond, signer, true);
        vm.assertEq(bonds.signersOf(bond).length, 1);
        vm.assertEq(bonds.signersOf(bond)[0], signer);
        bonds.setSigner(bond, signer, false);
        bonds.setSigner(bond, signer, false);
        vm.assertEq(bonds.signersOf(bond).length, 0);
        vm.stopPrank();
    }

    function test_there_are_at_most_eight() external {
        vm.startPrank(alice);
        for (uint160 i = 1; i <= 8; ++i) bonds.setSigner(bond, address(i), true);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.TooManySigners.selector, bond, 8));
        bonds.setSigner(bond, address(9), true);
        bonds.setSigner(bond, address(3), false);
        bonds.setSigner(bond, address(9), true);
        vm.stopPrank();
        vm.assertEq(bonds.signersOf(bond).length, 8);
    }

    function test_the_zero_address_signs_nothing() external {
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.SignerZero.selector));
        bonds.setSigner(bond, address(0), true);
    }

    function test_bumping_the_epoch_voids_grants() external {
        vm.prank(alice);
        vm.expectEmit(address(bonds));
        emit IAccessBond.EpochBumped(bond, 1);
        bonds.bumpEpoch(bond);
        vm.assertEq(bonds.bondOf(bond).epoch, 1);
    }

    function test_exploit_a_seller_cannot_use_a_bond_after_selling_it() external {
        vm.startPrank(alice);
        bonds.setSigner(bond, eve, true);
        bonds.transferFrom(alice, bob, bond);
        vm.stopPrank();
        IAccessBond.Bond memory terms = bonds.bondOf(bond);
        vm.assertEq(terms.owner, bob);
        vm.assertEq(terms.epoch, 1);
        vm.assertEq(bonds.signersOf(bond).length, 0);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAccessBond.NotBondOwner.selector, bond, alice));
        bonds.setSigner(bond, alice, true);
    }

    function test_exploit_a_bond_bought_back_does_not_revive_old_grants() external {
        vm.prank(alice);
        bonds.transferFrom(alice, bob, bond);
        vm.prank(bob);
        bonds.transferFrom(bob, alice, bond);
        vm.assertEq(bonds.bondOf(bond).epoch, 2);
    }

    function test_exploit_an_approved_operator_manages_nothing() external {
        vm.prank(alice);
        bonds.approve(eve, bond);
        bytes memory refusal = abi.encodeWithSelector(IAccessBond.NotBondOwner.selector, bond, eve);
        vm.startPrank(eve);
        vm.expectRevert(refusal);
        bonds.setSigner(bond, eve, true);
        vm.expectRevert(refusal);
        bonds.bumpEpoch(bond);
        vm.stopPrank();
    }
}
