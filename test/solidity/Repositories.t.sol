// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IProvenanceRegistry} from "../../contracts/interfaces/IProvenanceRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// @notice createRepository, setWriter, setRecorder
contract RepositoriesTest is RegistryFixture {
    function test_an_account_creates_in_its_own_namespace() external {
        string memory namespace = own(alice);
        bytes32 repo = idOf(namespace, "repo");
        vm.prank(alice);
        vm.expectEmit(address(registry));
        emit IProvenanceRegistry.RepositoryCreated(repo, alice, namespace, "repo");
        vm.assertEq(registry.createRepository(namespace, "repo"), repo);
        vm.assertEq(registry.repositoryOwner(repo), alice);
        vm.assertEq(registry.headOf(repo), bytes32(0));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.RepositoryExists.selector, repo));
        registry.createRepository(namespace, "repo");
    }

    function test_exploit_a_stranger_registers_nothing_in_a_foreign_namespace() external {
        string memory namespace = own(alice);
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotNamespaceOwner.selector, namespace, eve));
        registry.createRepository(namespace, "repo");
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotNamespaceOwner.selector, "nobodys", eve));
        registry.createRepository("nobodys", "repo");
        vm.prank(address(0));
        vm.expectPartialRevert(IProvenanceRegistry.NotNamespaceOwner.selector);
        registry.createRepository("nobodys", "repo");
    }

    function test_names_follow_the_grammar() external {
        string memory namespace = own(alice);
        bytes memory long = new bytes(100);
        for (uint256 i = 0; i < 100; ++i) long[i] = "a";
        string[10] memory bad = ["", ".git", "-x", "a..b", "a.lock", "A", "a/b", "a b", unicode"é", string(long)];
        vm.startPrank(alice);
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NameInvalid.selector, bad[i]));
            registry.createRepository(namespace, bad[i]);
        }
        registry.createRepository(namespace, "a");
        registry.createRepository(namespace, "_a.b-c.");
        vm.stopPrank();
    }

    function test_the_owner_names_writers() external {
        bytes32 repo = create(alice, "repo");
        vm.prank(alice);
        vm.expectEmit(address(registry));
        emit IProvenanceRegistry.WriterSet(repo, bob, true);
        registry.setWriter(repo, bob, true);
        vm.assertTrue(registry.isWriter(repo, bob));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotRepositoryOwner.selector, repo, bob));
        registry.setWriter(repo, eve, true);
        vm.prank(alice);
        registry.setWriter(repo, bob, false);
        vm.assertFalse(registry.isWriter(repo, bob));
    }

    function test_the_contracts_owner_names_recorders() external {
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, eve));
        registry.setRecorder(eve, true);
        registry.setRecorder(bob, true);
        vm.assertTrue(registry.isRecorder(bob));
        registry.setRecorder(bob, false);
        vm.assertFalse(registry.isRecorder(bob));
    }

    function test_ownership_moves_in_two_steps() external {
        registry.transferOwnership(bob);
        vm.assertEq(registry.owner(), address(this));
        vm.prank(bob);
        registry.acceptOwnership();
        vm.assertEq(registry.owner(), bob);
    }
}
