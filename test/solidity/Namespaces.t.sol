// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IProvenanceRegistry} from "../../contracts/interfaces/IProvenanceRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// @notice claimNamespace, transferNamespace and namespaceOwner
contract NamespacesTest is RegistryFixture {
    function test_a_name_belongs_to_who_claims_it_first() external {
        vm.prank(alice);
        vm.expectEmit(address(registry));
        emit IProvenanceRegistry.NamespaceClaimed(keccak256("acme-labs"), alice, "acme-labs");
        registry.claimNamespace("acme-labs");
        vm.assertEq(registry.namespaceOwner("acme-labs"), alice);
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NamespaceTaken.selector, "acme-labs", alice));
        registry.claimNamespace("acme-labs");
    }

    function test_names_follow_the_grammar() external {
        string[10] memory bad = [
            "",
            "ab",
            "Acme",
            "acme_labs",
            "-acme",
            "acme-",
            "ac--me",
            "0xcafe",
            "ac/me",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NamespaceInvalid.selector, bad[i]));
            registry.claimNamespace(bad[i]);
        }
        registry.claimNamespace("abc");
        registry.claimNamespace("0y0");
        registry.claimNamespace("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }

    function testFuzz_an_address_owns_its_namespace(address account) external view {
        vm.assertEq(registry.namespaceOwner(Strings.toHexString(account)), account);
    }

    function testFuzz_exploit_nobody_claims_the_namespace_of_an_address(address account) external {
        string memory name = Strings.toHexString(account);
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NamespaceInvalid.selector, name));
        registry.claimNamespace(name);
    }

    function test_exploit_an_address_in_capitals_is_no_namespace() external {
        string memory name = Strings.toChecksumHexString(0x52908400098527886E0F7030069857D2E4169EE7);
        vm.assertEq(registry.namespaceOwner(name), address(0));
        vm.prank(0x52908400098527886E0F7030069857D2E4169EE7);
        vm.expectPartialRevert(IProvenanceRegistry.NotNamespaceOwner.selector);
        registry.createRepository(name, "repo");
    }

    function test_the_owner_gives_a_namespace_away() external {
        vm.startPrank(alice);
        registry.claimNamespace("acme");
        registry.createRepository("acme", "old");
        registry.transferNamespace("acme", bob);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotNamespaceOwner.selector, "acme", alice));
        registry.createRepository("acme", "new");
        vm.stopPrank();
        vm.assertEq(registry.namespaceOwner("acme"), bob);
        vm.assertEq(registry.repositoryOwner(idOf("acme", "old")), alice);
        vm.prank(bob);
        registry.createRepository("acme", "new");
    }

    function test_exploit_a_stranger_takes_no_namespace() external {
        vm.prank(alice);
        registry.claimNamespace("acme");
        vm.prank(eve);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotNamespaceOwner.selector, "acme", eve));
        registry.transferNamespace("acme", eve);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotNamespaceOwner.selector, "acme", alice));
        registry.transferNamespace("acme", address(0));
    }
}
