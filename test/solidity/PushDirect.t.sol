// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../contracts/interfaces/IProvenanceRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract PushDirectTest is RegistryFixture {
    bytes32 private repo;

    function setUp() public override {
        super.setUp();
        repo = create(alice, "repo");
    }

    function test_the_owner_and_writers_push_without_any_recorder() external {
        IProvenanceRegistry.Push memory first = pushOn(repo, 0, alice, 1);
        vm.prank(alice);
        registry.pushDirect(first);
        vm.prank(alice);
        registry.setWriter(repo, bob, true);
        IProvenanceRegistry.Push memory second = pushOn(repo, headAfter(first), bob, 2);
        vm.prank(bob);
        registry.pushDirect(second);
        vm.assertEq(registry.headOf(repo), headAfter(second));
        vm.assertEq(registry.batchCount(), 0);
    }

    function testFuzz_exploit_nobody_else_pushes(address account) external {
        vm.assume(account != alice);
        IProvenanceRegistry.Push memory push = pushOn(repo, 0, account, 1);
        vm.prank(account);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotWriter.selector, repo, account));
        registry.pushDirect(push);
    }

    function test_exploit_a_recorder_is_no_writer() external {
        IProvenanceRegistry.Push memory push = pushOn(repo, 0, recorder, 1);
        vm.prank(recorder);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotWriter.selector, repo, recorder));
        registry.pushDirect(push);
    }

    function test_exploit_a_writer_cannot_push_in_anothers_name() external {
        IProvenanceRegistry.Push memory push = pushOn(repo, 0, bob, 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotWriter.selector, repo, alice));
        registry.pushDirect(push);
    }

    function test_exploit_a_former_writer_is_locked_out() external {
        vm.startPrank(alice);
        registry.setWriter(repo, bob, true);
        registry.setWriter(repo, bob, false);
        vm.stopPrank();
        IProvenanceRegistry.Push memory push = pushOn(repo, 0, bob, 1);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotWriter.selector, repo, bob));
        registry.pushDirect(push);
    }

    function test_exploit_a_push_is_not_replayed() external {
        IProvenanceRegistry.Push memory push = pushOn(repo, 0, alice, 1);
        vm.prank(alice);
        registry.pushDirect(push);
        vm.prank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.HeadMoved.selector, repo, headAfter(push), bytes32(0))
        );
        registry.pushDirect(push);
    }
}
